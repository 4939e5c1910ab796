"""Checkpoints: what comes back is what was saved, and damage is named."""

import json
import struct
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import (
    Card,
    NetworkConfig,
    checkpoint_path,
    read_card,
    unnamed_classes,
)
from napari_meunet.network.cascade import Cascade
from napari_meunet.network.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from napari_meunet.network.meunet import MeUNet

FEATURES = (2, 3, 4, 5, 6)


@pytest.fixture
def checkpoint():
    network = NetworkConfig(
        n_classes=3, features=FEATURES, refinement_features=(2, 2, 3), fusion="post"
    )
    cascade = Cascade(**network.model_dump())
    for name, tensor in cascade.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(1e-9, 1e6)  # beyond what fp16 can hold
        if name.endswith("running_mean"):
            tensor.normal_(0, 300)
        if name.endswith("num_batches_tracked"):
            tensor.fill_(70_001)
    card = Card(
        name="test",
        version="3",
        network=network,
        classes=unnamed_classes(3),
        spacing=(2.5, 2.5, 2.5),
        data="noise",
        metrics={"dice gut": 0.5},
        licence="CC0-1.0",
        command=("meunet train",),
    )
    return Checkpoint(cascade.state_dict(), card)


@pytest.fixture
def saved(checkpoint, tmp_path):
    path = tmp_path / "test.safetensors"
    save_checkpoint(checkpoint, path)
    return path


def test_a_checkpoint_comes_back_as_it_was_saved(checkpoint, saved):
    loaded = load_checkpoint(saved)
    assert loaded.card == checkpoint.card
    assert set(loaded.weights) == set(checkpoint.weights)
    for name, tensor in checkpoint.weights.items():
        found = loaded.weights[name]
        assert found.dtype == tensor.dtype
        stored = tensor.half().float() if tensor.ndim > 1 else tensor
        assert torch.equal(found, stored), name


def test_saving_again_changes_nothing(checkpoint, saved, tmp_path):
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


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("n_classes", [3, 5])
def test_the_authors_checkpoints_load(tmp_path, bare, n_classes):
    network = MeUNet(n_classes=n_classes, features=FEATURES).eval()
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
    assert loaded.card.network.features == FEATURES
    assert loaded.card.network.fusion == "none"
    assert loaded.card.intensity is None
    assert [label.name for label in loaded.card.classes][:2] == [
        "background",
        "class 1",
    ]
    image = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        assert torch.equal(loaded.build()(image), network(image))


def test_half_precision_weights_of_the_authors_are_widened(tmp_path):
    torch.save(MeUNet(n_classes=3).half().state_dict(), tmp_path / "half.pth")
    weights = load_checkpoint(tmp_path / "half.pth").weights
    assert weights["stage1.enc1.0.0.weight"].dtype == torch.float32


def refused(path, words):
    with pytest.raises(MeUNetError, match=words):
        load_checkpoint(path).build()


@pytest.mark.parametrize(
    "content",
    [
        torch.zeros(3),
        [1, 2],
        {},
        {"enc1.0.0.weight": torch.zeros(2)},
        {"model_state_dict": 3},
    ],
    ids=["tensor", "list", "empty", "few weights", "number"],
)
def test_other_torch_files_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    refused(tmp_path / "other.pt", r"a \.pt file must hold .* other\.pt")


def test_a_network_of_more_input_channels_is_refused(tmp_path):
    weights = MeUNet(n_classes=3, features=FEATURES).state_dict()
    weights["enc1.0.0.weight"] = torch.zeros(2, 4, 3, 3, 3)
    torch.save(weights, tmp_path / "rgb.pt")
    refused(tmp_path / "rgb.pt", "the weights must fit the network")


def test_a_network_of_one_class_is_refused(tmp_path):
    torch.save(MeUNet(n_classes=1, features=FEATURES).state_dict(), tmp_path / "one.pt")
    refused(tmp_path / "one.pt", r"n_classes.*got 1")


def test_pickles_that_run_code_are_refused(tmp_path):
    torch.save(MeUNet(n_classes=3), tmp_path / "module.pt")
    refused(tmp_path / "module.pt", "weights_only=True, got module.pt")


@pytest.mark.parametrize("n_bytes", [0, 5, 100, 5000])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_truncated_files_are_refused(checkpoint, saved, tmp_path, suffix, n_bytes):
    whole = saved
    if suffix == ".pt":
        whole = tmp_path / "whole.pt"
        torch.save(MeUNet(n_classes=3, features=FEATURES).state_dict(), whole)
    path = tmp_path / f"short{suffix}"
    path.write_bytes(whole.read_bytes()[:n_bytes])
    refused(path, "short")


def test_weights_that_break_off_are_refused(saved):
    saved.write_bytes(saved.read_bytes()[:-10])
    refused(saved, "must be complete, got: .*; copy the file again")


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n" + bytes(99), b'{"a": 1}' * 9, bytes(64)],
    ids=["picture", "json", "zeros"],
)
def test_foreign_files_are_refused(tmp_path, content):
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(content)
    refused(path, r"\.safetensors file with a card.*foreign\.safetensors")


def test_safetensors_without_a_card_are_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "bare.safetensors")
    refused(tmp_path / "bare.safetensors", "with a card")


def test_weights_of_another_class_count_are_refused(checkpoint, tmp_path):
    network = checkpoint.card.network.model_copy(update={"n_classes": 4})
    card = checkpoint.card.model_copy(
        update={"network": network, "classes": unnamed_classes(4)}
    )
    save_checkpoint(replace(checkpoint, card=card), tmp_path / "four.safetensors")
    refused(
        tmp_path / "four.safetensors", r"'test'.*size mismatch for stage1\.conv_out"
    )


def test_a_missing_weight_is_named(checkpoint, tmp_path):
    weights = dict(checkpoint.weights)
    del weights["fuse.0.0.bias"]
    save_checkpoint(replace(checkpoint, weights=weights), tmp_path / "less.safetensors")
    refused(tmp_path / "less.safetensors", r"fuse\.0\.0\.bias")


def test_a_model_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(MeUNetError, match="must be 'fly-phantom' or a checkpoint file"):
        checkpoint_path(tmp_path / "nothing.safetensors")


def test_an_invalid_card_says_what_is_wrong(tmp_path):
    header = json.dumps({"__metadata__": {"card": '{"name": "x"}'}}).encode()
    path = tmp_path / "card.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(MeUNetError, match="version"):
        read_card(path)


def test_classes_and_outputs_must_agree(checkpoint):
    with pytest.raises(MeUNetError, match=r"one for each of the 3 outputs.*\[0, 1\]"):
        Card.checked(**{**checkpoint.card.model_dump(), "classes": unnamed_classes(2)})


def test_a_card_is_read_without_loading_torch(saved):
    code = (
        "import sys; from pathlib import Path; "
        "from napari_meunet.network.card import read_card; "
        "assert read_card(Path(sys.argv[1])).name == 'test'; "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(saved)], check=True)
