"""Checkpoints: what comes back is what was saved."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import Card, TrainingRecord, read_card
from napari_meunet.network.checkpoint import load_checkpoint, save_checkpoint
from napari_meunet.network.classes import unnamed_classes


def test_a_checkpoint_comes_back_as_it_was_saved(checkpoint, saved):
    loaded = load_checkpoint(saved)
    assert loaded.card == checkpoint.card
    assert set(loaded.weights) == set(checkpoint.weights)
    for name, tensor in checkpoint.weights.items():
        found = loaded.weights[name]
        assert found.dtype == tensor.dtype
        stored = tensor.half().float() if tensor.ndim > 1 else tensor
        assert torch.equal(found, stored), name


def test_saving_again_changes_nothing(saved, tmp_path):
    once = load_checkpoint(saved)
    save_checkpoint(once, tmp_path / "again.safetensors")
    twice = load_checkpoint(tmp_path / "again.safetensors")
    assert twice.digest() == once.digest()


def test_convolutions_take_two_bytes_a_weight(checkpoint, saved):
    weights = checkpoint.weights.values()
    wide = sum(4 * tensor.numel() for tensor in weights if tensor.ndim > 1)
    rest = sum(8 * tensor.numel() for tensor in weights if tensor.ndim <= 1)
    assert saved.stat().st_size < wide / 2 + rest + 40_000  # names and the card


def test_the_network_is_built_for_evaluation(saved):
    checkpoint = load_checkpoint(saved)
    network = checkpoint.build()
    assert not network.training
    state = network.state_dict()
    assert all(torch.equal(state[name], checkpoint.weights[name]) for name in state)


def test_the_digest_tells_weights_and_architecture_apart(checkpoint):
    name = "stage1.conv_out.bias"
    nudged = {**checkpoint.weights, name: checkpoint.weights[name] + 1e-6}
    renamed = replace(checkpoint, card=checkpoint.card.model_copy(update={"name": "x"}))
    assert replace(checkpoint, weights=nudged).digest() != checkpoint.digest()
    assert renamed.digest() == checkpoint.digest()


def test_a_place_that_cannot_be_written_is_one_clear_error(checkpoint, tmp_path):
    with pytest.raises(MeUNetError, match="must be writable, got No such file"):
        save_checkpoint(checkpoint, tmp_path / "missing" / "test.safetensors")


def test_a_disk_that_fills_up_leaves_the_old_model(checkpoint, tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "test.safetensors"
    path.write_bytes(b"the last good one")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**10, limits[1]))
    try:
        with pytest.raises(MeUNetError, match="must be writable, got File too large"):
            save_checkpoint(checkpoint, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"the last good one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_card_is_read_without_loading_torch(saved):
    code = (
        "import sys; from pathlib import Path; "
        "from napari_meunet.network.card import read_card; "
        "assert read_card(Path(sys.argv[1])).name == 'test'; "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(saved)], check=True)


def test_classes_and_outputs_must_agree(checkpoint):
    with pytest.raises(MeUNetError, match=r"one for each of the 3 outputs.*\[0, 1\]"):
        Card.checked(**{**checkpoint.card.model_dump(), "classes": unnamed_classes(2)})


@pytest.mark.parametrize("values", [(1, 2, 3), (0, 3, 2), (0, 2, 2)])
def test_the_values_of_the_classes_ascend_from_the_background(checkpoint, values):
    classes = [
        label.model_copy(update={"value": value})
        for label, value in zip(unnamed_classes(3), values, strict=True)
    ]
    with pytest.raises(MeUNetError, match="ascending values from 0"):
        Card.checked(**{**checkpoint.card.model_dump(), "classes": classes})


def test_the_trainings_on_a_card_survive_the_file(checkpoint, tmp_path):
    record = TrainingRecord(
        specimens=("fly 1", "fly 2"),
        validation=("fly 3",),
        config={"seed": 3, "fusion": "post", "an option of other days": None},
        versions={"torch": "2.0"},
        device="cpu",
        seconds=1.5,
    )
    card = checkpoint.card.model_copy(update={"training": (record, record)})
    path = tmp_path / "new.safetensors"
    save_checkpoint(replace(checkpoint, card=card), path)
    assert read_card(path) == card


def test_a_card_from_before_the_trainings_were_recorded_still_loads(checkpoint):
    old = checkpoint.card.model_dump(exclude={"training"})
    assert Card.from_json(json.dumps(old)) == checkpoint.card


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_the_spacing_of_training_is_a_size(checkpoint, size):
    spacing = {"finest": (1.0, size, 1.0), "coarsest": (1.0, 1.0, 1.0)}
    with pytest.raises(MeUNetError, match=r"spacing\.finest\.1: "):
        Card.checked(**{**checkpoint.card.model_dump(), "spacing": spacing})


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("n_classes", [3, 5])
def test_the_authors_files_load_as_stage_1_alone(
    make_stage1, tmp_path, bare, n_classes
):
    network = make_stage1(n_classes)
    content = network.state_dict()
    if not bare:
        optimiser = torch.optim.Adam(network.parameters())
        content = {
            "epoch": 7,
            "model_state_dict": content,
            "optimizer_state_dict": optimiser.state_dict(),
            "scaler": {},
            "best_val": 0.25,
        }
    torch.save(content, tmp_path / "model.pt")
    loaded = load_checkpoint(tmp_path / "model.pt")
    assert loaded.card.network.n_classes == n_classes
    assert loaded.card.network.features == (2, 3, 4, 5, 6)
    assert loaded.card.network.fusion == "none"
    assert loaded.card.intensity is None
    names = [label.name for label in loaded.card.classes]
    assert names[:2] == ["background", "class 1"]
    image = torch.rand(1, 1, 16, 16, 16)
    with torch.inference_mode():
        assert torch.equal(loaded.build()(image), network(image))


def test_half_precision_weights_of_the_authors_are_widened(make_stage1, tmp_path):
    torch.save(make_stage1().half().state_dict(), tmp_path / "half.pth")
    weights = load_checkpoint(tmp_path / "half.pth").weights
    assert weights["stage1.enc1.0.0.weight"].dtype == torch.float32


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_file_that_was_loaded_can_be_replaced(saved):
    """Windows replaces no file that is mapped."""
    loaded = load_checkpoint(saved)
    assert str(saved) not in Path("/proc/self/maps").read_text()
    save_checkpoint(loaded, saved)
