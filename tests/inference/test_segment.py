"""Segmenting from a checkpoint to labels."""

import hashlib
import os
import signal
import warnings
from contextlib import closing
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import tifffile
import torch
from torch.nn import functional

from napari_meunet.config import Calibration, SegmentationConfig, TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.inference import ledger
from napari_meunet.inference import segment as room
from napari_meunet.inference.machine import Machine
from napari_meunet.inference.segment import averages_as_before, next_run, segment
from napari_meunet.inference.streaming.stream import CascadeStream
from napari_meunet.inference.target import RunRecord
from napari_meunet.inference.tiles import Grid
from napari_meunet.labels.store import LabelStore
from napari_meunet.network.card import SpacingRange, TrainingRecord
from napari_meunet.volume.intensity import intensity_range
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.reduced import reduced
from napari_meunet.volume.volume import Spacing, Volume

SHAPE = (70, 33, 30)
CPU = {"device": "cpu", "precision": "fp32", "slab": 16}


@pytest.fixture(scope="module")
def voxels():
    return np.random.default_rng(5).integers(0, 256, SHAPE, dtype=np.uint8)


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint):
    return make_checkpoint("post")


@pytest.fixture
def labels(memory_labels):
    return memory_labels(SHAPE)


@pytest.fixture(scope="module")
def one_go(checkpoint, voxels, memory_labels):
    """Return the labels of a run that nothing disturbs."""
    labels = memory_labels(SHAPE)
    run(voxels, checkpoint, labels)
    return labels.labels


def run(voxels, checkpoint, labels, **config):
    """Segment in one go and return all progress."""
    config = SegmentationConfig(**{**CPU, **config})
    return list(segment(Volume.from_array(voxels), checkpoint, config, labels))


def limits_of(voxels):
    return intensity_range(Volume.from_array(voxels), 0.1, 99.9)


def test_labels_are_those_of_the_network_on_the_whole_volume(
    checkpoint, voxels, labels, true_labels
):
    run(voxels, checkpoint, labels)
    expected = true_labels(checkpoint, voxels, limits_of(voxels))
    assert np.bincount(expected.ravel()).min() > 100
    assert (labels.labels != expected).mean() < 1e-4  # ties, as fp32 rounds them
    assert (labels.times_written == 1).all()


def test_confidence_is_that_of_the_network_on_the_whole_volume(
    checkpoint, voxels, labels, true_confidence
):
    run(voxels, checkpoint, labels)
    expected = 255 * true_confidence(checkpoint, voxels, limits_of(voxels))
    assert np.ptp(expected) > 20
    np.testing.assert_allclose(labels.confidence, expected, atol=0.51)


def test_a_run_that_is_taken_up_gives_the_same_confidence(
    checkpoint, voxels, memory_labels
):
    whole, stopped = memory_labels(SHAPE), memory_labels(SHAPE)
    run(voxels, checkpoint, whole)
    config = SegmentationConfig(**CPU)
    steps = segment(Volume.from_array(voxels), checkpoint, config, stopped)
    while next(steps).done == 0:
        pass
    steps.close()
    assert 0 < stopped.finished_planes("y0-33,x0-30") < 70
    run(voxels, checkpoint, stopped)
    np.testing.assert_array_equal(stopped.confidence, whole.confidence)


def a_model_of_coarser_scans(checkpoint):
    coarse = SpacingRange(finest=(9.0, 4.5, 4.5), coarsest=(9.0, 4.5, 4.5))
    return replace(
        checkpoint, card=checkpoint.card.model_copy(update={"spacing": coarse})
    )


def run_on_a_fine_scan(voxels, checkpoint, labels, n_steps=None, **config):
    scan = Volume.from_array(voxels, Spacing((3.0, 2.0, 2.0), "test"))
    config = SegmentationConfig(**{**CPU, **config})
    with closing(segment(scan, checkpoint, config, labels)) as steps:
        return list(islice(steps, n_steps))


def test_a_scan_finer_than_those_of_training_is_shown_at_their_resolution(
    checkpoint, memory_labels, true_probabilities
):
    model = a_model_of_coarser_scans(checkpoint)
    voxels = np.random.default_rng(5).integers(0, 256, (200, 40, 31), dtype=np.uint8)
    labels = memory_labels(voxels.shape)
    first, *_ = run_on_a_fine_scan(voxels, model, labels)
    assert "3 x 2 x 2 voxels are seen as one" in first.message
    assert first.total == 200
    small = reduced(Volume.from_array(voxels), (3, 2, 2))
    limits = intensity_range(small, 0.1, 99.9)
    known = true_probabilities(checkpoint, small.planes[:], limits)
    expected = functional.interpolate(
        known[None], scale_factor=(3, 2, 2), mode="trilinear"
    )
    expected = expected[0].argmax(0)[:200, :40, :31].numpy()
    assert np.bincount(expected.ravel()).min() > 100
    assert (labels.labels != expected).mean() < 1e-3  # ties, as fp32 rounds them
    assert (labels.times_written == 1).all()
    assert labels.confidence.all()
    assert len(run_on_a_fine_scan(voxels, model, labels)) == 1  # it is complete

    taken_up = memory_labels(voxels.shape)
    stopped = run_on_a_fine_scan(voxels, model, taken_up, 30)
    assert 0 < stopped[-1].done < 200
    run_on_a_fine_scan(voxels, model, taken_up)
    np.testing.assert_array_equal(taken_up.labels, labels.labels)
    np.testing.assert_array_equal(taken_up.confidence, labels.confidence)


def test_a_reduced_scan_in_air_is_labelled_in_its_box(
    checkpoint, voxels, memory_labels
):
    model = a_model_of_coarser_scans(checkpoint)
    scan = np.random.default_rng(2).integers(0, 20, (600, 192, 192), dtype=np.uint8)
    scan[180:390, 80:146, 72:124] = (
        60 + voxels.repeat(3, 0).repeat(2, 1)[:, :, :26].repeat(2, 2) // 2
    )
    labels, taken_up = memory_labels(scan.shape), memory_labels(scan.shape)
    first, *_ = run_on_a_fine_scan(scan, model, labels, skip_air=True)
    assert (
        "planes 96 to 480, rows 32 to 192, columns 32 to 160, beyond" in first.message
    )
    assert not labels.labels[:96].any()
    assert np.bincount(labels.labels[96:480, 32:192, 32:160].ravel()).min() > 100
    assert (labels.times_written == 1).all()
    for n_steps in (4, 42, None):
        run_on_a_fine_scan(scan, model, taken_up, n_steps, skip_air=True)
    np.testing.assert_array_equal(taken_up.labels, labels.labels)
    np.testing.assert_array_equal(taken_up.confidence, labels.confidence)


def test_a_reduced_scan_goes_on_with_a_smaller_plan(
    monkeypatch, checkpoint, memory_labels, wide
):
    model = a_model_of_coarser_scans(checkpoint)
    voxels = np.asarray(wide[0]).repeat(3, 0).repeat(2, 1).repeat(2, 2)
    whole, labels = memory_labels(voxels.shape), memory_labels(voxels.shape)
    run_on_a_fine_scan(voxels, model, whole, slab=None)
    FullDevice(monkeypatch, 9, OUT_OF_MEMORY[0])
    steps = run_on_a_fine_scan(voxels, model, labels, slab=None)
    (replanned,) = [step for step in steps[1:] if step.message]
    assert "going on with 4 columns" in replanned.message
    assert 0 < replanned.done < steps[-1].done == 4 * 210
    assert (labels.labels != whole.labels).mean() < 1e-4
    assert (labels.times_written == 1).all()


def test_a_model_of_raw_grey_values_is_shown_a_finer_scan_reduced(
    make_checkpoint, memory_labels, voxels
):
    model = a_model_of_coarser_scans(make_checkpoint("none", raw=True))
    labels = memory_labels(SHAPE)
    first, *_ = run_on_a_fine_scan(voxels, model, labels)
    assert "seen as one" in first.message
    with pytest.raises(MeUNetError, match="raw grey values of 8 bits, got uint16"):
        run_on_a_fine_scan(voxels.astype(np.uint16), model, labels)


def test_what_a_run_before_reductions_has_finished_stays_finished(
    checkpoint, voxels, labels
):
    run(voxels, checkpoint, labels)
    record = dict(labels.run_description)
    assert record.pop("factors") == [1, 1, 1]
    assert record.pop("flips") == [[]]
    assert record.pop("model_source") == ""
    unknown = {"factors", "flips", "calibration", "model_source"}
    text = RunRecord(**record).model_dump_json(exclude=unknown)
    labels.run_description = record
    labels._key = hashlib.sha256(text.encode()).hexdigest()
    assert len(run(voxels, checkpoint, labels)) == 1


@pytest.mark.parametrize("asked", [{"resolution": "scan"}, {"preset": "paper"}])
def test_every_voxel_is_shown_if_that_is_asked(
    make_checkpoint, memory_labels, voxels, asked
):
    model = a_model_of_coarser_scans(make_checkpoint("none"))
    fine, plain = memory_labels(SHAPE), memory_labels(SHAPE)
    first, *_ = run_on_a_fine_scan(voxels, model, fine, **asked)
    assert "seen as one" not in first.message
    run(voxels, model, plain, **asked)  # its spacing is not known
    np.testing.assert_array_equal(fine.labels, plain.labels)


def a_model_of_half_turns(checkpoint):
    config = TrainingConfig(mirror=False, turn="any").model_dump(mode="json")
    record = TrainingRecord(
        specimens=("one",), config=config, versions={}, device="cpu", seconds=1
    )
    measured = Calibration(claimed=(0.0, 1.0), wrong=(0.0, 0.5), n_scans=1)
    known = {"training": (record,), "calibration": measured}
    return replace(checkpoint, card=checkpoint.card.model_copy(update=known))


def test_labels_are_those_of_the_mean_over_flipped_scans(
    checkpoint, voxels, memory_labels, true_logits
):
    model = a_model_of_half_turns(checkpoint)
    labels, plain = memory_labels(SHAPE), memory_labels(SHAPE)
    first, *_ = run(voxels, model, labels, average=True)
    assert "the mean of the scan and 3 flipped ones" in first.message
    logits = sum(
        true_logits(checkpoint, voxels, limits_of(voxels), flips)
        for flips in ((), (-3, -2), (-3, -1), (-2, -1))
    )
    z, y, x = SHAPE
    expected = logits.argmax(0)[:z, :y, :x].numpy()
    assert (labels.labels != expected).mean() < 1e-4  # ties, as fp32 rounds them
    assert (labels.times_written == 1).all()
    sure = (logits / 4).softmax(0).amax(0)
    blocks = functional.avg_pool3d(sure[None, None], 4)[0, 0].numpy()
    blocks = blocks[tuple(slice(n) for n in labels.confidence.shape)]
    np.testing.assert_allclose(labels.confidence, 255 * blocks, atol=0.51)
    assert labels.run_description["calibration"] is None
    run(voxels, model, plain)
    assert plain.run_description["calibration"] is not None
    assert (labels.labels != plain.labels).mean() > 0.01


def test_a_mean_that_is_taken_up_is_that_of_one_go(checkpoint, voxels, memory_labels):
    model = a_model_of_half_turns(checkpoint)
    whole, stopped = memory_labels(SHAPE), memory_labels(SHAPE)
    run(voxels, model, whole, average=True)
    config = SegmentationConfig(**CPU, average=True)
    with closing(segment(Volume.from_array(voxels), model, config, stopped)) as steps:
        while next(steps).done == 0:
            pass
    assert 0 < stopped.finished_planes("y0-33,x0-30") < 70
    run(voxels, model, stopped, average=True)
    np.testing.assert_array_equal(stopped.labels, whole.labels)
    assert (stopped.times_written == 1).all()
    assert len(run(voxels, model, stopped)) > 1  # without the mean it is another run


@pytest.mark.parametrize("average", [True, False])
def test_a_mean_turns_with_the_scan(checkpoint, memory_labels, average):
    shape = (96, 64, 32)  # as seen, multiples of 16: nothing is padded at one side
    voxels = np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)
    model = a_model_of_coarser_scans(a_model_of_half_turns(checkpoint))
    labels, turned = memory_labels(shape), memory_labels(shape)
    run_on_a_fine_scan(voxels, model, labels, average=average)
    half_turn = np.ascontiguousarray(voxels[::-1, ::-1])
    run_on_a_fine_scan(half_turn, model, turned, average=average)
    other = (turned.labels[::-1, ::-1] != labels.labels).mean()
    assert other < 1e-3 if average else other > 0.05


def test_labels_tell_whether_they_are_a_mean(checkpoint, voxels, memory_labels):
    model = a_model_of_half_turns(checkpoint)
    labels = memory_labels(SHAPE)
    assert not averages_as_before(labels, model.card)
    run(voxels, model, labels)
    assert not averages_as_before(labels, model.card)
    run(voxels, model, labels, average=True)
    assert averages_as_before(labels, model.card)
    assert not averages_as_before(labels, checkpoint.card)  # which cannot


def test_a_mean_does_not_depend_on_how_the_section_is_cut(
    checkpoint, memory_labels, wide
):
    model = a_model_of_half_turns(checkpoint)
    voxels = np.asarray(wide[0])
    whole, cut = memory_labels(voxels.shape), memory_labels(voxels.shape)
    run(voxels, model, whole, average=True)
    run(voxels, model, cut, average=True, columns=(1, 2))
    assert (cut.labels != whole.labels).mean() < 1e-4  # ties, as fp32 rounds them
    assert (cut.times_written == 1).all()


@pytest.mark.parametrize(
    ("config", "why"),
    [(None, "does not say how it was trained"), ({"turn": "none"}, "learned none")],
)
def test_a_model_that_learned_no_flips_is_not_averaged(
    checkpoint, voxels, labels, config, why
):
    model = checkpoint
    if config:
        model = a_model_of_half_turns(checkpoint)
        (record,) = model.card.training
        record = record.model_copy(update={"config": record.config | config})
        card = model.card.model_copy(update={"training": (record,)})
        model = replace(model, card=card)
    with pytest.raises(MeUNetError, match=f"'random post', which {why}; segment"):
        run(voxels, model, labels, average=True)
    assert not labels.run_description


def test_a_model_that_was_moved_goes_on_and_is_remembered(checkpoint, voxels, labels):
    run(voxels, replace(checkpoint, source="old/place.safetensors"), labels)
    assert len(run(voxels, replace(checkpoint, source="new.safetensors"), labels)) == 1


def test_votes_of_windows_leave_no_confidence(make_checkpoint, memory_labels):
    small = np.random.default_rng(1).integers(0, 256, (20, 30, 16), dtype=np.uint8)
    labels = memory_labels(small.shape)
    run(small, make_checkpoint("none"), labels)
    assert labels.confidence.all()
    run(small, make_checkpoint("none"), labels, preset="paper")
    assert not labels.confidence.any()


def test_air_is_left_out_if_that_is_asked(
    checkpoint, voxels, memory_labels, true_labels
):
    scan = np.random.default_rng(2).integers(0, 20, (150, 96, 96), dtype=np.uint8)
    scan[60:95, 40:73, 36:62] = 60 + voxels[:35, :, :26] // 2
    labels = memory_labels(scan.shape)
    first, *_ = run(scan, checkpoint, labels, skip_air=True)
    assert "planes 32 to 112, rows 16 to 96, columns 16 to 80, beyond" in first.message
    box = np.s_[32:112, 16:96, 16:80]
    expected = np.zeros_like(scan)
    expected[box] = true_labels(checkpoint, scan[box], limits_of(scan))
    assert np.bincount(expected[box].ravel()).min() > 100
    assert (labels.labels != expected).mean() < 1e-4  # ties, as fp32 rounds them
    assert (labels.times_written == 1).all()
    again = run(scan, checkpoint, labels, skip_air=True)
    assert len(again) == 1
    assert len(run(scan, checkpoint, labels)) > 1  # without, it is another run


def test_labels_carry_the_values_of_the_classes_on_the_card(
    checkpoint, voxels, labels, one_go
):
    values = np.array([0, 3, 21], np.uint8)
    classes = tuple(
        label.model_copy(update={"value": int(value)})
        for label, value in zip(checkpoint.card.classes, values, strict=True)
    )
    card = checkpoint.card.model_copy(update={"classes": classes})
    run(voxels, replace(checkpoint, card=card), labels)
    assert set(np.unique(one_go)) == {0, 1, 2}
    np.testing.assert_array_equal(labels.labels, values[one_go])


def test_progress_counts_planes_on_disk(checkpoint, voxels, labels):
    config = SegmentationConfig(**CPU)
    before = -1
    for step in segment(Volume.from_array(voxels), checkpoint, config, labels):
        assert (step.unit, step.total) == ("planes", 70)
        assert before <= step.done
        assert labels.times_written[: step.done].all()
        before = step.done
    assert before == 70


def test_the_first_message_is_the_plan(checkpoint, voxels, labels):
    first, *others = run(voxels, checkpoint, labels)
    assert first.done == 0
    assert first.message.startswith("whole planes, fp32 on cpu, ")
    assert not any(step.message for step in others)


@pytest.mark.parametrize("stop_after", [1, 6, 8, 9, 11])
def test_a_run_that_is_closed_goes_on_with_the_same_bits(
    checkpoint, voxels, labels, one_go, stop_after
):
    steps = segment(
        Volume.from_array(voxels), checkpoint, SegmentationConfig(**CPU), labels
    )
    for _, step in zip(range(stop_after), steps, strict=False):
        done = step.done
    steps.close()
    kept = labels.finished_planes("y0-33,x0-30")
    assert done <= kept <= done + 32
    assert labels.times_written[:kept].all()
    again = run(voxels, checkpoint, labels)
    assert again[0].done == kept
    np.testing.assert_array_equal(labels.labels, one_go)
    assert (labels.times_written == 1).all()


def test_a_finished_run_does_nothing_when_it_is_run_again(checkpoint, voxels, labels):
    run(voxels, checkpoint, labels)
    (only,) = run(voxels, checkpoint, labels)
    assert only.done == only.total
    assert (labels.times_written == 1).all()


@pytest.mark.parametrize("change", [{"preset": "paper"}, {"precision": "bf16"}])
def test_another_run_begins_anew(checkpoint, voxels, labels, change):
    run(voxels, checkpoint, labels)
    assert run(voxels, checkpoint, labels, **change)[0].done == 0


def test_another_model_begins_anew(checkpoint, make_checkpoint, voxels, labels):
    run(voxels, checkpoint, labels)
    assert run(voxels, make_checkpoint("post", seed=1), labels)[0].done == 0


def test_corrections_of_a_complete_run_can_be_overwritten(
    tmp_path, checkpoint, voxels, one_go
):
    volume, folder = Volume.from_array(voxels), tmp_path / "scan.meunet"
    with LabelStore.create(folder, volume, checkpoint.card.classes) as store:
        run(voxels, checkpoint, store)
        store.editable()[30:40, 5:9, 5:9] = (one_go[30:40, 5:9, 5:9] + 1) % 3
        assert (store.labels != one_go).any()
        run(voxels, checkpoint, store)
        assert (store.labels != one_go).any()
        run(voxels, checkpoint, store, overwrite_corrected=True)
        np.testing.assert_array_equal(store.labels, one_go)


def test_a_run_over_corrections_is_complete_when_none_is_left(
    tmp_path, checkpoint, voxels, one_go
):
    volume, folder = Volume.from_array(voxels), tmp_path / "scan.meunet"
    config = SegmentationConfig(**CPU, overwrite_corrected=True)
    with LabelStore.create(folder, volume, checkpoint.card.classes) as store:
        run(voxels, checkpoint, store, overwrite_corrected=True)
        assert len(run(voxels, checkpoint, store, overwrite_corrected=True)) == 1
        store.editable()[30:40, 5:9, 5:9] = (one_go[30:40, 5:9, 5:9] + 1) % 3
        assert next_run(volume, checkpoint, config, store)[1] == 0
        assert run(voxels, checkpoint, store, overwrite_corrected=True)[0].done == 0
        np.testing.assert_array_equal(store.labels, one_go)
        assert next_run(volume, checkpoint, config, store)[1] == SHAPE[0]


def test_columns_are_joined_without_a_seam(checkpoint, voxels, labels, one_go):
    steps = run(voxels, checkpoint, labels, columns=(2, 2))
    assert steps[-1].done == steps[-1].total == 4 * 70
    assert (labels.times_written == 1).all()
    assert (labels.labels != one_go).mean() < 1e-4


def test_a_run_keeps_its_columns_when_less_memory_is_free(
    checkpoint, voxels, labels, one_go
):
    """Or what is finished would have to be done again."""
    steps = segment(
        Volume.from_array(voxels),
        checkpoint,
        SegmentationConfig(**{**CPU, "slab": 32, "columns": (1, 2)}),
        labels,
    )
    while next(steps).done < 80:
        pass
    steps.close()
    again = run(voxels, checkpoint, labels, slab=None)
    assert again[0].done >= 80
    assert again[0].total == 140
    assert (labels.times_written == 1).all()


class FullDevice:
    """Lets `CascadeStream.push` fail once, at the n-th push."""

    def __init__(self, monkeypatch, n, error):
        self.left, self.error = n, error
        push = CascadeStream.push

        def failing(stream, image):
            self.left -= 1
            if self.left == 0:
                raise self.error
            return push(stream, image)

        monkeypatch.setattr(CascadeStream, "push", failing)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.fixture(scope="module")
def wide(checkpoint, memory_labels):
    """Return a volume that can be cut into columns, and its labels."""
    voxels = np.random.default_rng(6).integers(0, 256, (70, 16, 1200), dtype=np.uint8)
    labels = memory_labels(voxels.shape)
    run(voxels, checkpoint, labels, slab=None)
    return voxels, labels.labels


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["cuda", "cublas", "cpu", "host"])
def test_a_device_out_of_memory_goes_on_with_a_smaller_plan(
    monkeypatch, checkpoint, memory_labels, wide, error
):
    voxels, expected = wide
    labels = memory_labels(voxels.shape)
    FullDevice(monkeypatch, 9, error)  # the seventh push gives the first 16 planes
    steps = run(voxels, checkpoint, labels, slab=None)
    (replanned,) = [step for step in steps[1:] if step.message]
    assert replanned.message.startswith(
        "cpu ran out of memory; going on with 3 columns"
    )
    assert (replanned.done, replanned.total) == (3 * 32, 3 * 70)
    assert steps[-1].done == 3 * 70
    assert (labels.labels != expected).mean() < 1e-4
    assert (labels.times_written == 1).all()


def test_what_cannot_shrink_any_more_is_an_error_with_a_remedy(
    monkeypatch, checkpoint, voxels, labels
):
    monkeypatch.setattr(CascadeStream, "push", raising(OUT_OF_MEMORY[0]))
    with pytest.raises(MeUNetError, match="cpu ran out of memory, and a run must fit"):
        run(voxels, checkpoint, labels)


@pytest.mark.parametrize("preset", ["exact", "paper"])
def test_a_smaller_plan_is_smaller_on_a_card_too(
    monkeypatch, make_checkpoint, memory_labels, preset
):
    """What a card holds is not what the computer holds."""
    machine = Machine("cuda:0", "card", "fp16", int(64e9), int(24e9), 1e13)
    monkeypatch.setattr(room, "inspect_machine", lambda _: machine)
    shape = (40, 707, 707)
    volume = Volume.from_array(np.broadcast_to(np.uint16(0), shape))
    config = SegmentationConfig(preset=preset)
    post = make_checkpoint("post")
    task = room._Run(volume, Grid(shape), post, config, memory_labels(shape), None)
    plan = task.first_plan()
    if preset == "paper":
        with pytest.raises(MeUNetError, match="cuda:0 ran out of memory, and a run"):
            task.smaller(plan)
    else:
        assert task.smaller(plan).device_bytes <= plan.device_bytes / 2


def test_other_errors_of_the_device_are_not_swallowed(
    monkeypatch, checkpoint, voxels, labels
):
    monkeypatch.setattr(CascadeStream, "push", raising(RuntimeError("illegal access")))
    with pytest.raises(RuntimeError, match="illegal access"):
        run(voxels, checkpoint, labels)


def raising(error):
    def push(stream, image):
        raise error

    return push


def test_what_reading_raises_reaches_the_caller(checkpoint, labels):
    class Damaged:
        shape, dtype = SHAPE, np.dtype(np.uint8)

        def __getitem__(self, index):
            voxels = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.uint8)
            if isinstance(index, tuple) and index[0].start >= 48:
                raise MeUNetError("page 48 is damaged")
            return voxels[index]

    with pytest.raises(MeUNetError, match="page 48"):
        run(Damaged(), checkpoint, labels)


def test_what_writing_raises_reaches_the_caller(
    monkeypatch, checkpoint, voxels, labels
):
    def write(start, block, *, overwrite_corrected):
        raise MeUNetError("the disk is full")

    monkeypatch.setattr(labels, "write", write)
    with pytest.raises(MeUNetError, match="disk is full"):
        run(voxels, checkpoint, labels)


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "i4", "f4", "f8"])
def test_the_same_scan_in_another_data_type_has_the_same_labels(
    checkpoint, voxels, labels, one_go, dtype
):
    run(voxels.astype(dtype) * 4 + 9, checkpoint, labels)
    assert (labels.labels != one_go).mean() < 1e-3


def test_voxels_that_are_not_numbers_count_as_air(checkpoint, voxels, memory_labels):
    holes, air = voxels.astype(np.float32), voxels.astype(np.float32)
    holes[10:20], air[10:20] = np.nan, 0
    found, expected = memory_labels(SHAPE), memory_labels(SHAPE)
    with warnings.catch_warnings(action="error"):
        run(holes, checkpoint, found)
    run(air, checkpoint, expected)
    assert (found.labels != expected.labels).mean() < 0.05  # percentiles differ a bit
    assert (found.labels < 3).all()


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_volume_without_contrast_is_refused(checkpoint, labels, value):
    with pytest.raises(MeUNetError, match="a volume needs"):
        run(np.full(SHAPE, value, np.float32), checkpoint, labels)


def test_a_model_of_raw_values_takes_bytes_only(make_checkpoint, voxels, labels):
    raw = make_checkpoint("none", raw=True)
    with pytest.raises(
        MeUNetError, match="8 bits, got uint16; save the volume as uint8"
    ):
        run(voxels.astype(np.uint16), raw, labels)
    assert run(voxels, raw, labels)[-1].done == 70


def test_labels_of_another_shape_are_refused(checkpoint, voxels, memory_labels):
    with pytest.raises(MeUNetError, match=r"\(70, 33, 30\), got \(70, 33, 31\)"):
        run(voxels, checkpoint, memory_labels((70, 33, 31)))


def test_the_paper_preset_uses_stage_one_alone(make_checkpoint, memory_labels):
    small = np.random.default_rng(1).integers(0, 256, (20, 30, 16), dtype=np.uint8)
    post, alone = make_checkpoint("post"), make_checkpoint("none")
    weights = {name: post.weights[name] for name in alone.weights}
    labels, expected = memory_labels(small.shape), memory_labels(small.shape)
    first, *_, last = run(small, post, labels, preset="paper")
    run(small, replace(alone, weights=weights), expected, preset="paper")
    assert first.message.startswith("the paper's windows")
    assert last.done == 20
    np.testing.assert_array_equal(labels.labels, expected.labels)
    assert len(np.unique(labels.labels)) > 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_corrected_voxels_survive_unless_told_otherwise(
    tmp_path, checkpoint, voxels, one_go, overwrite
):
    volume = Volume.from_array(voxels)
    box = (slice(30, 40), slice(5, 20), slice(5, 20))
    wrong = np.where(one_go[box] == 1, 2, 1).astype(np.uint8)
    with LabelStore.create(
        tmp_path / "scan.meunet", volume, checkpoint.card.classes
    ) as store:
        store.editable()[box] = wrong
        run(voxels, checkpoint, store, overwrite_corrected=overwrite)
        expected = one_go.copy()
        if not overwrite:
            expected[box] = wrong
        np.testing.assert_array_equal(store.labels, expected)


def test_a_labels_folder_takes_up_a_run_in_a_new_session(
    tmp_path, checkpoint, voxels, one_go
):
    volume, folder = Volume.from_array(voxels), tmp_path / "scan.meunet"
    config = SegmentationConfig(**CPU)
    with LabelStore.create(folder, volume, checkpoint.card.classes) as store:
        steps = segment(volume, checkpoint, config, store)
        while next(steps).done == 0:
            pass
        steps.close()
    with LabelStore.open(folder) as store:
        first, *_ = segment(volume, checkpoint, config, store)
        assert first.done > 0
        np.testing.assert_array_equal(store.labels, one_go)


def test_a_run_gives_back_the_memory_of_all_files_that_it_maps(
    tmp_path, checkpoint, voxels, resident
):
    tifffile.imwrite(tmp_path / "scan.tif", voxels, photometric="minisblack")
    volume, folder = open_volume(tmp_path / "scan.tif"), tmp_path / "scan.meunet"
    config = SegmentationConfig(**CPU)
    with LabelStore.create(folder, volume, checkpoint.card.classes) as store:
        assert store.labels.sum() + store.model.sum() == 0
        assert volume.read(0, SHAPE[0]).any()
        files = tmp_path / "scan.tif", folder / "labels.tif", folder / "model"
        assert min(map(resident, files)) > voxels.nbytes / 2
        for _ in segment(volume, checkpoint, config, store):
            pass
        assert [resident(path) for path in files] == [0, 0, 0]
        assert store.labels.any()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_that_is_killed_is_taken_up_whatever_it_had_marked(
    tmp_path, checkpoint, voxels, one_go, monkeypatch
):
    monkeypatch.setattr(ledger, "SETTLE_SECONDS", 0.1)
    volume, folder = Volume.from_array(voxels), tmp_path / "scan.meunet"
    config = SegmentationConfig(**CPU)
    LabelStore.create(folder, volume, checkpoint.card.classes).close()
    kept = [0]
    for planes in (1, 20, 50):
        if os.fork() == 0:
            try:
                with LabelStore.open(folder) as store:
                    for step in segment(volume, checkpoint, config, store):
                        if step.done >= planes:
                            os.kill(os.getpid(), signal.SIGKILL)
            finally:
                os._exit(1)
        assert os.WTERMSIG(os.wait()[1]) == signal.SIGKILL
        with LabelStore.open(folder, writable=False) as seen:
            kept.append(seen.finished_planes("y0-33,x0-30"))
    assert kept == sorted(kept)
    with LabelStore.open(folder) as store:
        for _ in segment(volume, checkpoint, config, store):
            pass
        np.testing.assert_array_equal(store.labels, one_go)


def test_the_next_run_is_known_before_it_begins(checkpoint, voxels, labels):
    volume, config = Volume.from_array(voxels), SegmentationConfig(**CPU)
    plan, done = next_run(volume, checkpoint, config, labels)
    assert (str(plan), done) == (run_and_stop(volume, checkpoint, config, labels), 0)
    again, done = next_run(volume, checkpoint, config, labels)
    assert again.columns == plan.columns
    assert done == labels.finished_planes("y0-33,x0-30") > 0
    other = config.model_copy(update={"precision": "bf16"})
    assert next_run(volume, checkpoint, other, labels)[1] == 0


def run_and_stop(volume, checkpoint, config, labels):
    """Stop a run at its first planes and return its first message."""
    with closing(segment(volume, checkpoint, config, labels)) as steps:
        message = next(steps).message
        while next(steps).done == 0:
            pass
    return message
