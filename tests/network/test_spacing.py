"""What becomes of a scan whose voxels are not those of training."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_meunet.network.card import Card, SpacingRange
from napari_meunet.network.spacing import (
    TOLERATED,
    range_in_words,
    reduction,
    spacing_remark,
)

FINEST, COARSEST = (6.0, 2.0, 3.0), (12.0, 2.0, 4.0)


@pytest.fixture
def card(checkpoint):
    trained = SpacingRange(finest=FINEST, coarsest=COARSEST)
    return checkpoint.card.model_copy(update={"spacing": trained})


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(
    ("factor", "remarkable"), [(1.0, False), (1.49, False), (1.51, True)]
)
def test_a_factor_of_one_and_a_half_beyond_the_training_counts(
    card, axis, factor, remarkable
):
    coarse, fine = list(COARSEST), list(FINEST)
    coarse[axis] *= factor
    fine[axis] /= factor
    assert bool(spacing_remark(card, tuple(coarse))) is remarkable
    assert bool(spacing_remark(card, tuple(fine))) is remarkable


def test_the_remark_names_both_spacings_and_the_remedy(card):
    remark = spacing_remark(card, (2.951345, 2.0, 3.0))
    assert "2.951 x 2 x 3 um (z, y, x)" in remark
    assert "'test' was trained on 6 x 2 x 3 um (z, y, x) to 12 x 2 x 4 um" in remark
    assert remark.endswith("show it at the resolution of the model")
    coarse = spacing_remark(card, (20.0, 2.0, 3.0))
    assert coarse.endswith("check its spacing, or train a model for it")
    assert len(remark.splitlines()) == 1


def test_volumes_of_one_spacing_are_named_once():
    one = SpacingRange(finest=FINEST, coarsest=FINEST)
    assert range_in_words(one) == "6 x 2 x 3 um (z, y, x)"


def test_what_is_not_known_is_not_compared(card):
    assert spacing_remark(card, None) == ""
    unknown = card.model_copy(update={"spacing": None})
    assert spacing_remark(unknown, (1.0, 1.0, 1.0)) == ""


@pytest.mark.parametrize(
    ("zyx", "expected"),
    [
        ((6.0, 2.0, 3.0), (1, 1, 1)),  # the finest of training
        ((9.0, 2.5, 30.0), (1, 1, 1)),  # coarser voxels cannot be made finer
        ((4.9, 2.0, 3.0), (1, 1, 1)),  # hardly finer
        # the middle along z is the root of 6 times 12: 8.5
        ((4.7, 2.0, 3.0), (2, 1, 1)),
        ((4.3, 2.0, 3.0), (2, 1, 1)),
        ((2.951345, 1.5, 0.5), (3, 1, 7)),
        ((8.5 / 16, 2.0, 3.0), (16, 1, 1)),
        ((8.5 / 17, 2.0, 0.5), (1, 1, 1)),  # rather a wrong number
    ],
)
def test_a_finer_scan_is_reduced_axis_by_axis(card, zyx, expected):
    assert reduction(card, zyx) == expected


def test_what_is_not_known_is_not_reduced(card):
    assert reduction(card, None) == (1, 1, 1)
    unknown = card.model_copy(update={"spacing": None})
    assert reduction(unknown, (0.1, 0.1, 0.1)) == (1, 1, 1)


@given(wanted=st.floats(1e-3, 1e3), part=st.floats(1 / 16, 1))
def test_of_a_model_of_one_spacing_no_finer_scan_is_left_beyond_the_tolerance(
    wanted, part
):
    one = SpacingRange(finest=(wanted,) * 3, coarsest=(wanted,) * 3)
    size = part * wanted
    (factor, _, _) = reduction(
        Card.model_construct(spacing=one, voxel_size=None), (size,) * 3
    )
    assert wanted / TOLERATED < factor * size < wanted * TOLERATED
    others = (abs(np.log(n * size / wanted)) for n in range(1, factor + 3))
    nearest = min(others) + 1e-9
    assert factor == 1 or abs(np.log(factor * size / wanted)) <= nearest
