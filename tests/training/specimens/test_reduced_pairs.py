"""Learning from several voxels as one."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import Card, SpacingRange
from napari_meunet.network.spacing import reduction
from napari_meunet.training.patches.specimen import Specimen
from napari_meunet.training.specimens import reduced as room
from napari_meunet.training.specimens.reduced import (
    DetailedLabels,
    KeptPlanes,
    ReducedLabels,
    Reducer,
)
from napari_meunet.training.specimens.requirements import require_alike
from napari_meunet.training.specimens.scans import spacing_range
from napari_meunet.volume.volume import Spacing, Volume

IGNORE = 255
CONFIG = TrainingConfig()


def pair_of(zyx=(3.0, 3.0, 3.0), shape=(20, 18, 16), seed=0):
    rng = np.random.default_rng(seed)
    spacing = Spacing(zyx, "test") if zyx else None
    image = Volume.from_array(rng.integers(0, 256, shape, dtype=np.uint8), spacing)
    labels = Volume.from_array(rng.integers(0, 3, shape, dtype=np.uint8), spacing)
    return image, labels


@given(
    labels=arrays(
        np.uint8,
        st.tuples(*[st.integers(1, 7)] * 3),
        elements=st.sampled_from([0, 1, 7, IGNORE]),
    ),
    factors=st.tuples(*[st.integers(1, 3)] * 3),
)
def test_a_label_is_the_most_frequent_of_its_block_that_is_known(labels, factors):
    found = ReducedLabels(labels, factors)
    by_z, by_y, by_x = factors
    for z, y, x in np.ndindex(found.shape):
        block = labels[z * by_z :, y * by_y :, x * by_x :][:by_z, :by_y, :by_x]
        votes = Counter(block[block != IGNORE].tolist())
        most = max(votes.values(), default=0)
        winners = [value for value, n in votes.items() if n == most]
        assert found[z, y, x] == min(winners, default=IGNORE)
    assert found.dtype == found[:].dtype == np.uint8


def test_many_voxels_of_one_label_are_all_counted():
    labels = np.zeros((16, 16, 16), np.uint8)
    labels[:9] = 1  # 2304 voxels, more than 8 bits hold
    assert ReducedLabels(labels, (16, 16, 16))[:] == [[[1]]]


def test_scans_are_brought_near_to_a_size_axis_by_axis():
    fine, coarse = pair_of((3.0, 1.5, 1.4)), pair_of((7.0, 9.0, 6.0))
    reducer = Reducer(6.0, None, CONFIG)
    (image, labels), other = reducer.reduced([fine, coarse])
    assert reducer.remarks == [
        "2 x 4 x 4 voxels are learned from as one: 6 x 6 x 5.6 um (z, y, x)"
    ]
    assert image.shape == labels.shape == (10, 5, 4)
    assert image.spacing.zyx == pytest.approx((6.0, 6.0, 5.6))
    means = fine[0].planes[:, :16].reshape(10, 2, 4, 4, 4, 4).mean((1, 3, 5))
    np.testing.assert_array_equal(image.read(0, 10)[:, :4], np.rint(means))
    assert other == coarse  # as it is
    specimen = Specimen.index(image, labels, 3, np.random.default_rng(0))
    assert specimen.counts.sum() == 10 * 5 * 4


def test_a_model_sees_a_scan_as_it_has_learned_from_it():
    pairs = Reducer(12.0, None, CONFIG).reduced([pair_of((2.9, 2.9, 2.9))])
    learned = spacing_range([image for image, _ in pairs])
    card = Card.model_construct(spacing=learned, voxel_size=None)
    assert reduction(card, (2.9, 2.9, 2.9)) == (4, 4, 4)


@given(sizes=st.lists(st.floats(1.0, 9.0), min_size=1, max_size=4))
def test_of_several_spacings_a_model_sees_each_as_it_has_learned_from_it(sizes):
    pairs = Reducer(6.0, None, CONFIG).reduced([pair_of((um,) * 3) for um in sizes])
    learned = spacing_range([image for image, _ in pairs])
    card = Card.model_construct(spacing=learned, voxel_size=6.0)
    for um, (image, _) in zip(sizes, pairs, strict=True):
        factors = reduction(card, (um,) * 3)
        assert image.spacing.zyx == pytest.approx([n * um for n in factors])


def test_what_a_model_was_brought_to_goes_on():
    before = Card.model_construct(spacing=None, voxel_size=6.0)
    reducer = Reducer(None, before, CONFIG)
    ((image, _),) = reducer.reduced([pair_of()])
    assert (reducer.voxel_size, image.shape) == (6.0, (10, 9, 8))
    assert Reducer(9.0, before, CONFIG).voxel_size == 9.0


def test_labels_may_know_the_spacing_alone():
    image, labels = pair_of()
    ((found, _),) = Reducer(6.0, None, CONFIG).reduced(
        [(replace(image, spacing=None), labels)]
    )
    assert found.spacing.zyx == (6.0, 6.0, 6.0)


def test_scans_keep_their_data_type():
    image, labels = pair_of()
    ((found, _),) = Reducer(6.0, None, CONFIG).reduced([(image, labels)])
    assert found.dtype == np.uint8  # as models of raw grey values want it


def test_without_a_size_it_is_what_the_model_to_begin_from_knows():
    pairs = [pair_of()]
    assert Reducer(None, None, CONFIG).reduced(pairs) == pairs
    trained = SpacingRange(finest=(9.0, 9.0, 3.0), coarsest=(9.0, 9.0, 3.0))
    before = Card.model_construct(spacing=trained, voxel_size=None)
    ((image, labels),) = Reducer(None, before, CONFIG).reduced(pairs)
    assert image.shape == labels.shape == (7, 6, 16)
    ((image, _),) = Reducer(6.0, before, CONFIG).reduced(
        pairs
    )  # what is asked counts more
    assert image.shape == (10, 9, 8)


def test_labels_without_a_scan_are_reduced_alike():
    _, labels = pair_of()
    ((image, found),) = Reducer(6.0, None, CONFIG).reduced([(None, labels)])
    assert image is None
    assert found.shape == (10, 9, 8)


@pytest.mark.parametrize(
    ("zyx", "size", "message"),
    [
        (None, 6.0, "how large their voxels are, got unnamed, which does not"),
        ((3.0, 3.0, 0.1), 6.0, r"at most 16 .* got \(2, 2, 60\) for unnamed with 3 x"),
    ],
)
def test_a_size_that_cannot_be_had_is_refused(zyx, size, message):
    with pytest.raises(MeUNetError, match=message):
        Reducer(size, None, CONFIG).reduced([pair_of(zyx)])


def test_planes_are_computed_once():
    computed = []

    class Recorded:
        shape, dtype = (6, 2, 2), np.dtype(np.uint8)

        def __getitem__(self, index):
            planes = range(6)[index]
            computed.append(list(planes))
            return np.stack([np.full((2, 2), z, np.uint8) for z in planes])

    kept = KeptPlanes(Recorded())
    np.testing.assert_array_equal(kept[2:4, :1], [[[2, 2]], [[3, 3]]])
    assert kept[2].tolist() == [[2, 2], [2, 2]]
    assert kept[:, 0, 0].tolist() == list(range(6))
    assert computed == [[2, 3], [0, 1], [4, 5]]


def test_what_there_is_no_room_for_is_not_kept(monkeypatch):
    n_bytes = 10 * 9 * 8  # of labels or a scan
    monkeypatch.setattr(room, "free_on_host", lambda: 4 * 2 * 3.5 * n_bytes)
    reducer = Reducer(6.0, None, TrainingConfig(n_devices=2))
    one, other = reducer.reduced([pair_of(), pair_of()])
    kept = [isinstance(volume.planes, KeptPlanes) for volume in (*one, *other)]
    assert sorted(kept) == [False, True, True, True]
    for image, labels in (one, other):
        assert image.read(0, 1).shape == labels.read(0, 1).shape == (1, 9, 8)


@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    factors=st.tuples(*[st.sampled_from([2, 4])] * 3),
    data=st.data(),
)
def test_every_part_of_a_large_voxel_has_a_label(shape, factors, data):
    labels = np.random.default_rng(0).integers(0, 3, shape, dtype=np.uint8)
    detailed = DetailedLabels(labels, factors, 2)
    sizes = zip(shape, factors, strict=True)
    assert detailed.shape == tuple(-(-n // f) * 2 for n, f in sizes)
    parts = ReducedLabels(labels, tuple(f // 2 for f in factors))[:]
    whole = detailed[:]
    for place in np.ndindex(detailed.shape):
        at = tuple(min(i, n - 1) for i, n in zip(place, parts.shape, strict=True))
        assert whole[place] == parts[at]
    index = tuple(
        data.draw(st.integers(0, n - 1) | st.slices(n).filter(lambda s: s.step == 1))
        for n in detailed.shape
    )
    np.testing.assert_array_equal(detailed[index], whole[index])


def test_labels_are_finer_than_the_voxels_that_are_learned_from():
    pairs = [pair_of((3.0, 3.0, 3.0)), pair_of((1.5, 3.0, 3.0), seed=1)]
    reducer = Reducer(6.0, None, CONFIG)
    (image, labels), (other, fine) = reducer.to_learn_from(pairs)
    assert (image.shape, labels.shape) == ((10, 9, 8), (20, 18, 16))
    np.testing.assert_array_equal(labels.planes[:, :, :], pairs[0][1].planes[:, :, :])
    assert labels.spacing.zyx == (3.0, 3.0, 3.0)
    assert (other.shape, fine.shape) == ((5, 9, 8), (10, 18, 16))
    ((_, coarse), _) = reducer.reduced(pairs)
    assert coarse.shape == image.shape


@pytest.mark.parametrize(
    ("spacings", "factors"),
    [
        ((3.0, 3.0), 2),
        ((2.0, 2.0), 3),
        ((3.0, 2.0), 1),
        ((1.2, 1.2), 1),
        ((3.0, 6.0), 1),
    ],
)
def test_details_are_alike_in_all_scans(spacings, factors):
    pairs = [pair_of((um,) * 3) for um in spacings]
    found = Reducer(6.0, None, CONFIG).to_learn_from(pairs)
    assert {fine.shape[0] // image.shape[0] for image, fine in found} == {factors}


def test_where_labels_cannot_be_finer_they_are_not():
    pair = pair_of()
    paper = TrainingConfig(sampling="windows", augmentation="affine")
    large = TrainingConfig(patch_size=160, expanded_size=240)
    for reducer, pairs in (
        (Reducer(6.0, None, paper), [pair]),
        (Reducer(6.0, None, large), [pair]),
        (Reducer(6.0, None, CONFIG), [pair, (None, pair[1])]),
    ):
        for _, labels in reducer.to_learn_from(pairs):
            assert labels.shape == (10, 9, 8)
    assert Reducer(None, None, CONFIG).to_learn_from([pair]) == [pair]


def test_a_specimen_knows_voxels_and_shows_fine_labels():
    ((image, labels),) = Reducer(6.0, None, CONFIG).to_learn_from([pair_of()])
    specimen = Specimen.index(image, labels, 3, np.random.default_rng(0))
    assert specimen.shape == (10, 9, 8)
    assert specimen.detail == 2
    assert specimen.counts.sum() == 20 * 18 * 16
    assert all((found < specimen.shape).all() for found in specimen.voxels.values())
    full = pair_of()[1].planes
    for value, found in specimen.voxels.items():
        z, y, x = (2 * found[:50]).T
        blocks = [
            full[i : i + 2, j : j + 2, k : k + 2]
            for i, j, k in zip(z, y, x, strict=True)
        ]
        assert all((block == value).any() for block in blocks)
    start = np.array([-1, 2, 3])
    window, fine = specimen.fine_patch(start, 4)
    assert (window.shape, fine.shape) == ((4, 4, 4), (8, 8, 8))
    np.testing.assert_array_equal(fine[2:], full[:6, 4:12, 6:14])
    assert not fine[:2].any()
    again, coarse = specimen.patch(start, 4)
    np.testing.assert_array_equal(again, window)
    np.testing.assert_array_equal(coarse, fine[1::2, 1::2, 1::2])


def test_a_scan_and_labels_of_another_shape_are_refused_before_they_are_reduced():
    image, labels = pair_of()
    cut = Volume.from_array(labels.planes[1:], labels.spacing)
    for reducer in (Reducer(6.0, None, CONFIG), Reducer(None, None, CONFIG)):
        for reduce in (reducer.reduced, reducer.to_learn_from):
            with pytest.raises(MeUNetError, match="same shape"):
                reduce([(image, cut)])


def test_all_scans_must_have_as_many_labels_in_a_voxel():
    ((image, labels),) = Reducer(6.0, None, CONFIG).to_learn_from([pair_of()])
    rng = np.random.default_rng(0)
    fine = Specimen.index(image, labels, 3, rng)
    plain = Specimen.index(*pair_of(), 3, rng)
    require_alike([("a", fine), ("b", fine)], CONFIG)
    require_alike([("a", plain)], TrainingConfig(augmentation="affine"))
    with pytest.raises(MeUNetError, match="a with 2, b with 1"):
        require_alike([("a", fine), ("b", plain)], CONFIG)
    with pytest.raises(MeUNetError, match="a with 2"):
        require_alike([("a", fine)], TrainingConfig(augmentation="affine"))


def test_fine_labels_must_fit_the_scan():
    ((image, labels),) = Reducer(6.0, None, CONFIG).to_learn_from([pair_of()])
    cut = Volume.from_array(labels.planes[:, :, 1:], labels.spacing)
    with pytest.raises(MeUNetError, match="same shape"):
        Specimen.index(image, cut, 3, np.random.default_rng(0))
