from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_meunet.errors import MeUNetError
from napari_meunet.training.label_values import IGNORE
from napari_meunet.training.patches.specimen import Specimen
from napari_meunet.training.patches.windows import WindowSampler, kept_windows
from napari_meunet.volume.volume import Volume


class Luck:
    """Draws the same number always."""

    def __init__(self, number):
        self._number = number

    def random(self, shape):
        return np.full(shape, self._number)


LUCKY, UNLUCKY = Luck(0.049), Luck(0.05)
"""Keep all windows of little but background, and none of them."""


def all_windows(shape, size):
    """Return the corners of the notebook's windows, padding included, one by one."""
    axes = []
    for n in shape:
        count = 1
        while size + (count - 1) * (size // 2) < n:
            count += 1
        before = (size + (count - 1) * (size // 2) - n) // 2
        axes.append([i * (size // 2) - before for i in range(count)])
    return [np.array(start) for start in product(*axes)]


def window(labels, start, size):
    padded = np.pad(labels, size)
    z, y, x = start + size
    return padded[z : z + size, y : y + size, x : x + size]


def specimen(labels, n_classes=3):
    image = np.arange(labels.size, dtype=np.uint32).reshape(labels.shape)
    rng = np.random.default_rng(0)
    volumes = Volume.from_array(image), Volume.from_array(labels)
    return Specimen.index(*volumes, n_classes, rng)


@settings(max_examples=40)
@given(
    st.tuples(*[st.integers(1, 30)] * 3),
    st.sampled_from([4, 8, 10]),
    st.integers(0, 10**6),
)
def test_the_kept_windows_are_those_of_the_rule_applied_one_by_one(shape, size, seed):
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    for _ in range(3):
        corner = [int(rng.integers(n)) for n in shape]
        box = tuple(slice(c, c + int(rng.integers(1, 7))) for c in corner)
        labels[box] = rng.integers(1, 3)
    expected = [
        (start, found)
        for start in all_windows(shape, size)
        if np.mean((found := window(labels, start, size)) == 0) < 0.98
    ]
    windows = kept_windows(Volume.from_array(labels), 3, size, UNLUCKY)
    np.testing.assert_array_equal(
        windows.starts, np.reshape([start for start, _ in expected], (-1, 3))
    )
    counts = [sum((found == c).sum() for _, found in expected) for c in range(3)]
    np.testing.assert_array_equal(windows.counts, counts)


def test_the_axes_of_the_published_scans_have_13_and_5_windows():
    labels = np.zeros((1072, 470, 1), np.uint8)
    windows = kept_windows(Volume.from_array(labels), 2, 160, LUCKY)
    assert len(windows.starts) == 13 * 5
    assert windows.starts[0].tolist() == [-24, -5, -79]
    assert windows.starts[-1].tolist() == [12 * 80 - 24, 4 * 80 - 5, -79]


def test_one_in_twenty_windows_of_background_is_kept_always_the_same_ones():
    labels = Volume.from_array(np.zeros((120, 120, 120), np.uint8))
    kept, again, other = (
        kept_windows(labels, 2, 8, np.random.default_rng(seed)).starts
        for seed in (1, 1, 2)
    )
    n = 29**3
    assert abs(len(kept) - n / 20) < 4 * np.sqrt(n / 20)
    np.testing.assert_array_equal(kept, again)
    assert not np.array_equal(kept, other)


def test_voxels_without_a_label_do_not_count():
    labels = np.full((8, 8, 24), IGNORE, np.uint8)
    labels[:, :, :8] = 0
    labels[0, 0, 0] = 1  # 1 of 512 labelled voxels
    labels[3, 3, 12] = 1  # the only labelled voxel of two windows
    windows = kept_windows(Volume.from_array(labels), 2, 8, UNLUCKY)
    # before these hardly anything but background, behind them no label at all
    assert windows.starts.tolist() == [[0, 0, 8], [0, 0, 12]]
    assert windows.counts.tolist() == [0, 2]


def test_every_window_is_shown_once_an_epoch_in_an_order_of_its_own():
    labels = np.ones((16, 16, 32), np.uint8)
    one, other = specimen(labels), specimen(labels[:, :, :16])
    windows = [
        kept_windows(s.labels, 3, 16, np.random.default_rng(0)) for s in (one, other)
    ]
    sampler = WindowSampler([one, other], windows, 0)
    n = 3 + 1
    shown = [
        sampler.draw(16, np.random.default_rng(0), turn)[0].tobytes()
        for turn in range(10 * n)
    ]
    epochs = [tuple(shown[i : i + n]) for i in range(0, 10 * n, n)]
    assert all(len(set(epoch)) == n for epoch in epochs)
    assert len(set(map(frozenset, epochs))) == 1
    assert len(set(epochs)) > 3


def test_the_expanded_patch_has_the_window_in_its_middle():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, (16, 16, 16), dtype=np.uint8)
    one = specimen(labels)
    windows = [kept_windows(one.labels, 3, 16, rng)]
    sampler = WindowSampler([one], windows, 0)
    image, truth = sampler.draw(16, rng, 0)
    np.testing.assert_array_equal(truth, labels)
    wide, around = sampler.draw(24, rng, 0)
    np.testing.assert_array_equal(around, np.pad(labels, 4))
    np.testing.assert_array_equal(wide, np.pad(image, 4))


def test_without_a_window_there_is_an_error_with_a_remedy():
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[0, 0, 0] = 1
    one = specimen(labels)
    windows = [kept_windows(one.labels, 3, 8, UNLUCKY)]
    with pytest.raises(MeUNetError, match=r"less than 98% background .* got none"):
        WindowSampler([one], windows, 0)
