import math

import pytest

from napari_meunet.training.evaluation.agreement import Agreement
from napari_meunet.training.evaluation.summary import Spread, summary


def test_the_standard_deviation_divides_by_one_less_than_the_number():
    found = Spread.of([2.0, 4.0, 4.0, 6.0])
    assert (found.n, found.mean) == (4, 4.0)
    assert found.sd == pytest.approx(math.sqrt(8 / 3))


def test_what_has_no_value_is_not_counted():
    assert Spread.of([None, 3.0, None]) == Spread(n=1, mean=3.0, sd=None)
    assert Spread.of([None]) == Spread(n=0, mean=None, sd=None)


def test_specimens_are_summed_up_by_hand():
    gut_a = Agreement(0.8, 0.6, 0.25, 10.0, 0.5)
    gut_b = Agreement(0.6, 0.4, -0.25, 20.0, 0.7)
    missed = Agreement(0.0, 0.0, -1.0, None, 0.0)
    found = summary({"a": {1: gut_a, 2: missed}, "b": {1: gut_b}, "c": {1: missed}})
    gut, ovary = found[1], found[2]
    assert list(found) == [1, 2]
    assert gut["dice"].n == 3
    assert gut["dice"].mean == pytest.approx(1.4 / 3)
    # deviations from 1.4 / 3 are 1, 0.4 and -1.4 thirds
    squares = (1 + 0.4**2 + 1.4**2) / 9
    assert gut["dice"].sd == pytest.approx(math.sqrt(squares / 2))
    assert gut["volume_error"].mean == pytest.approx(-1 / 3)
    assert gut["hd95"] == Spread(n=2, mean=15.0, sd=pytest.approx(math.sqrt(50)))
    assert ovary["dice"] == Spread(n=1, mean=0.0, sd=None)
    assert ovary["hd95"] == Spread(n=0, mean=None, sd=None)
