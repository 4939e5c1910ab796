"""Checkpoint files: what is written is read, and what is no checkpoint is refused."""

import pytest
import torch

from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import Card, NetworkConfig, unnamed_classes
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from napari_meunet.network.meunet import MeUNet

FEATURES = (2, 2, 2, 2, 2)


@pytest.fixture
def checkpoint():
    torch.manual_seed(0)
    network = NetworkConfig(
        n_classes=3, features=FEATURES, refinement_features=(2, 2, 2), fusion="post"
    )
    card = Card(
        name="tiny",
        version="1",
        network=network,
        classes=unnamed_classes(3),
        data="nothing",
        licence="BSD-3-Clause",
    )
    return Checkpoint(Cascade(**network.model_dump()).state_dict(), card)


@pytest.fixture
def stage1():
    return MeUNet(n_classes=3, features=FEATURES).state_dict()


def saved(tmp_path, content):
    path = tmp_path / "model.pt"
    torch.save(content, path)
    return path


def test_what_is_saved_is_loaded(checkpoint, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(checkpoint, path)
    loaded = load_checkpoint(path)
    assert loaded.card == checkpoint.card
    assert loaded.weights.keys() == checkpoint.weights.keys()
    for name, tensor in checkpoint.weights.items():
        kept = tensor.half().to(tensor.dtype) if tensor.ndim > 1 else tensor
        assert torch.equal(loaded.weights[name], kept)
    save_checkpoint(loaded, path)
    assert load_checkpoint(path).digest() == loaded.digest()


def test_a_place_that_cannot_be_written_is_one_clear_error(checkpoint, tmp_path):
    with pytest.raises(MeUNetError, match="must be writable, got No such file"):
        save_checkpoint(checkpoint, tmp_path / "missing" / "tiny.safetensors")


def test_a_disk_that_fills_up_leaves_the_old_model(checkpoint, tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "tiny.safetensors"
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


@pytest.mark.parametrize("wrap", [dict, lambda state: {"model_state_dict": state}])
def test_the_authors_files_load_as_stage_1_alone(stage1, tmp_path, wrap):
    loaded = load_checkpoint(saved(tmp_path, wrap(stage1)))
    assert loaded.card.network.features == FEATURES
    assert loaded.card.network.n_classes == 3
    assert loaded.card.intensity is None
    image = torch.rand(1, 1, 16, 16, 16)
    network = MeUNet(n_classes=3, features=FEATURES).eval()
    network.load_state_dict(stage1)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.build()(image), network(image))


@pytest.mark.parametrize(
    "content",
    [torch.zeros(3), [1, 2], {"model_state_dict": None}, {"enc1.0.0.weight": 3}],
)
def test_a_pt_file_of_something_else_is_refused(tmp_path, content):
    with pytest.raises(MeUNetError, match=r"stage-1 weights.*got model\.pt"):
        load_checkpoint(saved(tmp_path, content))


def test_weights_of_which_a_part_is_missing_are_refused(stage1, tmp_path):
    del stage1["conv_out.bias"]
    with pytest.raises(MeUNetError, match=r"stage-1 weights.*conv_out\.bias"):
        load_checkpoint(saved(tmp_path, stage1))


def test_a_network_of_one_class_is_refused(tmp_path):
    stage1 = MeUNet(n_classes=1, features=FEATURES).state_dict()
    with pytest.raises(MeUNetError, match=r"n_classes: .*greater than or equal to 2"):
        load_checkpoint(saved(tmp_path, stage1))


def test_weights_that_do_not_fit_the_card_are_refused_in_one_line(stage1, tmp_path):
    del stage1["dec1.0.0.bias"]
    checkpoint = load_checkpoint(saved(tmp_path, stage1))
    with pytest.raises(MeUNetError, match=r"dec1\.0\.0\.bias") as refusal:
        checkpoint.build()
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello world\n", bytes(range(256)) * 9])
def test_a_file_that_is_no_checkpoint_is_refused_in_one_line(tmp_path, suffix, content):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(MeUNetError, match=f"got model{suffix}") as refusal:
        load_checkpoint(path)
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_truncated_checkpoint_is_refused(checkpoint, stage1, tmp_path, suffix):
    path = saved(tmp_path, stage1)
    if suffix == ".safetensors":
        path = tmp_path / "model.safetensors"
        save_checkpoint(checkpoint, path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(MeUNetError, match=f"model{suffix}"):
        load_checkpoint(path)
