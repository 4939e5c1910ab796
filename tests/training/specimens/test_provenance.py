from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import TrainingRecord
from napari_meunet.training.specimens.provenance import (
    UNNAMED,
    hold_out,
    require_apart,
    specimen_name,
)
from napari_meunet.volume.volume import Source, Volume


def volume(name, seed=0):
    voxels = np.random.default_rng(seed).integers(0, 255, (6, 7, 8), dtype=np.uint8)
    path = Path("some folder", name) if name else None
    return Volume(voxels, None, Source(path, "array", None), (1, 7, 8))


def pair(name, seed=0):
    return volume(f"{name}.tif", seed), volume(f"{name}_labels.tif", 0)


PAIRS = [pair(f"fly{i}", seed=i) for i in range(10)]


@pytest.mark.parametrize(
    ("image", "labels", "name"),
    [
        ("fly.tif", "fly_labels.tif", "fly"),
        ("fly.ome.tif", "fly_labels.ome.tif", "fly"),
        ("V1.2.nii.gz", "other.nii.gz", "V1.2"),
        (None, "fly_labels.nii.gz", "fly"),
    ],
)
def test_a_specimen_is_named_after_its_file(image, labels, name):
    scan = volume(image) if image else None
    assert specimen_name((scan, volume(labels))) == name


def test_an_array_has_no_name():
    assert specimen_name((volume(None), volume("fly_labels.tif"))) == UNNAMED


def test_held_out_specimens_are_not_trained_on_and_the_seed_alone_chooses_them():
    chosen = set()
    for seed in range(20):
        kept, held = hold_out(PAIRS, 3, seed)
        names = {specimen_name(one) for one in held}
        assert len(names) == 3
        assert names | {specimen_name(one) for one in kept} == {
            f"fly{i}" for i in range(10)
        }
        assert len(kept) == 7
        _, again = hold_out(PAIRS[::-1], 3, seed)
        assert {specimen_name(one) for one in again} == names
        chosen |= names
    assert len(chosen) == 10


def test_without_a_number_nothing_is_held_out():
    assert hold_out(PAIRS, 0, 1) == (PAIRS, [])
    assert hold_out([(None, PAIRS[0][1])], 0, 1)[1] == []


def test_only_specimens_with_scans_are_held_out():
    pairs = [*PAIRS[:2], *((None, labels) for _, labels in PAIRS[2:])]
    _, held = hold_out(pairs, 2, 0)
    assert sorted(map(specimen_name, held)) == ["fly0", "fly1"]
    with pytest.raises(MeUNetError, match="got 3 of 10, 2 of them with scans"):
        hold_out(pairs, 3, 0)


def test_something_is_left_to_train_on():
    with pytest.raises(MeUNetError, match="hold out fewer"):
        hold_out(PAIRS, 10, 0)


def test_other_specimens_are_let_through():
    without_scans = [(None, labels) for _, labels in PAIRS[:5]]
    for pairs, validation in (
        (PAIRS[:5], PAIRS[5:]),
        (without_scans, PAIRS[5:]),
        (PAIRS, []),
    ):
        assert require_apart(pairs, validation) is None


def test_a_copy_of_a_scan_under_another_name_is_found():
    with pytest.raises(MeUNetError, match="got new for validation and fly3 for train"):
        require_apart(PAIRS, [pair("new", seed=3)])


def test_a_name_on_both_sides_is_refused_even_without_a_scan():
    with pytest.raises(MeUNetError, match="got fly3 for validation and fly3"):
        require_apart([(None, PAIRS[3][1])], [pair("fly3", seed=99)])


def test_what_the_initial_model_has_learned_from_is_not_validated_on():
    record = TrainingRecord(
        specimens=("fly1", UNNAMED),
        validation=("fly2",),
        config={},
        versions={},
        device="cpu",
        seconds=1.0,
    )
    initial = SimpleNamespace(name="m", training=(record,))
    require_apart(PAIRS[3:], [PAIRS[2], (volume(None), volume(None))], initial)
    with pytest.raises(MeUNetError, match="new to the model, got fly1"):
        require_apart(PAIRS[3:], PAIRS[1:3], initial)


def test_arrays_are_told_apart_by_what_is_in_them():
    one, other = (volume(None, 1), volume(None)), (volume(None, 2), volume(None))
    require_apart([one], [other])
    with pytest.raises(MeUNetError, match="must be for training or for validation"):
        require_apart([one], [one])
