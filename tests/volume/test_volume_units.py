import numpy as np
import pytest

from napari_meunet.volume.formats.units import complete_spacing, micrometres


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (2.95, "um", 2.95),
        (2.95, "\N{MICRO SIGN}m", 2.95),
        (2.95, "\N{GREEK SMALL LETTER MU}m", 2.95),
        (2.95, "\\u00B5m", 2.95),
        (2.95, "micron", 2.95),
        (2.95, " Microns ", 2.95),
        (2.95, "micrometre", 2.95),
        (0.141, "mm", 141.0),
        (0.0195, "millimeter", 19.5),
        (1.3e-6, "m", 1.3),
        (0.0007, "cm", 7.0),
        (650, "nm", 0.65),
        (650, "nanometers", 0.65),
    ],
)
def test_every_spelling_of_a_length_is_the_same_in_micrometres(value, unit, expected):
    assert micrometres(value, unit) == expected


def test_a_length_stored_in_32_bits_keeps_its_decimal_digits():
    assert micrometres(np.float32(0.141), "mm") == 141.0


@pytest.mark.parametrize("unit", [None, "", "pixel", "inch", "second", "µ", "kg"])
def test_what_is_not_a_metric_length_is_never_guessed(unit):
    assert micrometres(1.0, unit) is None


def test_a_spacing_needs_all_three_sizes():
    assert complete_spacing((3.0, 2.0, 1.0), "x").zyx == (3.0, 2.0, 1.0)
    assert complete_spacing((3.0, None, 1.0), "x") is None
    assert complete_spacing((3.0, 0.0, 1.0), "x") is None
    assert complete_spacing((3.0, float("nan"), 1.0), "x") is None
