"""A scan whose voxels are not those of training gets a remark."""

import pytest

from napari_meunet.network.card import SpacingRange
from napari_meunet.network.spacing import range_in_words, spacing_remark

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
    assert "resample the scan" in remark
    assert len(remark.splitlines()) == 1


def test_volumes_of_one_spacing_are_named_once():
    one = SpacingRange(finest=FINEST, coarsest=FINEST)
    assert range_in_words(one) == "6 x 2 x 3 um (z, y, x)"


def test_what_is_not_known_is_not_compared(card):
    assert spacing_remark(card, None) == ""
    unknown = card.model_copy(update={"spacing": None})
    assert spacing_remark(unknown, (1.0, 1.0, 1.0)) == ""
