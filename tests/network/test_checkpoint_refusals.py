"""What is no checkpoint, or no whole one, is refused in one line that names it."""

import json
import struct
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import checkpoint_path, read_card
from napari_meunet.network.checkpoint import load_checkpoint, save_checkpoint
from napari_meunet.network.classes import unnamed_classes


def refused(path, words):
    with pytest.raises(MeUNetError, match=words) as refusal:
        load_checkpoint(path).build()
    assert len(str(refusal.value).splitlines()) == 1


def test_a_model_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(MeUNetError, match="must be 'fly-phantom' or a checkpoint file"):
        checkpoint_path(tmp_path / "nothing.safetensors")


# any file


@pytest.mark.parametrize(
    ("suffix", "rule"), [(".pt", "weights_only=True"), (".safetensors", "with a card")]
)
@pytest.mark.parametrize(
    "content",
    [
        b"hello world\n",
        b'{"a": 1}' * 9,
        b"\x89PNG\r\n\x1a\n" + bytes(99),
        bytes(64),
        bytes(range(256)) * 9,
    ],
    ids=["text", "json", "picture", "zeros", "bytes"],
)
def test_foreign_files_are_refused(tmp_path, suffix, rule, content):
    path = tmp_path / f"foreign{suffix}"
    path.write_bytes(content)
    refused(path, rf"{rule}.*got foreign\{suffix}")


@pytest.mark.parametrize("kept", [0, 5, 100, 5000, -500, -10])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_truncated_files_are_refused(saved, make_stage1, tmp_path, suffix, kept):
    whole = saved
    if suffix == ".pt":
        whole = tmp_path / "whole.pt"
        torch.save(make_stage1().state_dict(), whole)
    path = tmp_path / f"short{suffix}"
    path.write_bytes(whole.read_bytes()[:kept])
    refused(path, rf"short\{suffix}")


# our files


def test_weights_that_break_off_are_refused(saved):
    saved.write_bytes(saved.read_bytes()[:-10])
    refused(saved, "must be complete, got: .*; copy the file again")


def test_safetensors_without_a_card_are_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "bare.safetensors")
    refused(tmp_path / "bare.safetensors", "with a card")


def test_an_invalid_card_is_refused(tmp_path):
    header = json.dumps({"__metadata__": {"card": '{"name": "x"}'}}).encode()
    path = tmp_path / "card.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(MeUNetError, match="version"):
        read_card(path)


def test_weights_of_another_class_count_are_refused(checkpoint, tmp_path):
    network = checkpoint.card.network.model_copy(update={"n_classes": 4})
    card = checkpoint.card.model_copy(
        update={"network": network, "classes": unnamed_classes(4)}
    )
    path = tmp_path / "four.safetensors"
    save_checkpoint(replace(checkpoint, card=card), path)
    refused(path, r"'test'.*size mismatch for stage1\.conv_out")


def test_a_missing_weight_is_refused(checkpoint, tmp_path):
    weights = dict(checkpoint.weights)
    del weights["fuse.0.0.bias"]
    path = tmp_path / "less.safetensors"
    save_checkpoint(replace(checkpoint, weights=weights), path)
    refused(path, r"fuse\.0\.0\.bias")


# the authors' files


@pytest.mark.parametrize(
    "content",
    [
        torch.zeros(3),
        [1, 2],
        {},
        {"enc1.0.0.weight": torch.zeros(2)},
        {"enc1.0.0.weight": 3},
        {"model_state_dict": None},
    ],
    ids=["tensor", "list", "empty", "few weights", "no weights", "none"],
)
def test_other_torch_files_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    refused(tmp_path / "other.pt", r"stage-1 weights.*got other\.pt")


def test_pickles_that_run_code_are_refused(make_stage1, tmp_path):
    torch.save(make_stage1(), tmp_path / "module.pt")
    refused(tmp_path / "module.pt", "weights_only=True, got module.pt")


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("conv_out.bias", r"stage-1 weights.*without 'conv_out\.bias'"),
        ("dec1.0.0.bias", r"must fit the network.*dec1\.0\.0\.bias"),
    ],
)
def test_a_missing_weight_of_stage_1_is_refused(make_stage1, tmp_path, missing, words):
    weights = make_stage1().state_dict()
    del weights[missing]
    torch.save(weights, tmp_path / "less.pt")
    refused(tmp_path / "less.pt", words)


def test_a_network_of_more_input_channels_is_refused(make_stage1, tmp_path):
    weights = make_stage1().state_dict()
    weights["enc1.0.0.weight"] = torch.zeros(2, 4, 3, 3, 3)
    torch.save(weights, tmp_path / "rgb.pt")
    refused(tmp_path / "rgb.pt", "the weights must fit the network")


def test_a_network_of_one_class_is_refused(make_stage1, tmp_path):
    torch.save(make_stage1(1).state_dict(), tmp_path / "one.pt")
    refused(tmp_path / "one.pt", r"n_classes: .*greater than or equal to 2, got 1")
