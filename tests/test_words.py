import pytest

from napari_meunet.words import (
    shape_in_words,
    size_in_words,
    some_of,
    spacing_in_words,
    time_in_words,
)


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (999.4e6, "999 MB"),
        (999.6e6, "1 GB"),
        (2.84e9, "2.84 GB"),
        (1.5e12, "1.5 TB"),
    ],
)
def test_bytes_are_counted_in_powers_of_a_thousand(n_bytes, words):
    assert size_in_words(n_bytes) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (5340, "89 min"), (7500, "2 h 5 min")],
)
def test_times_are_as_exact_as_people_need_them(seconds, words):
    assert time_in_words(seconds) == words


def test_a_shape_says_its_axes():
    assert shape_in_words((3, 4, 5)) == "3 x 4 x 5 (z, y, x)"


def test_a_spacing_has_as_many_digits_as_a_scanner_means():
    words = spacing_in_words((12.385108482142858, 0.325, 3.0))
    assert words == "12.39 x 0.325 x 3 um (z, y, x)"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["b", "a"], "a, b"),
        (["c", "b", "a"], "a, b, c"),
        (["d", "c", "b", "a", "e"], "a, b, c and 2 others"),
    ],
)
def test_of_many_names_some_are_said(names, words):
    assert some_of(names) == words
