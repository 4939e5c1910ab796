import numpy as np
import pytest

from napari_meunet.config import LabelClass
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.store import LabelStore
from napari_meunet.training.evaluation.pairs import Pair
from napari_meunet.training.evaluation.setting import common_setting
from napari_meunet.volume.volume import Spacing, Volume

SIZE = (3.0, 2.0, 1.0)


@pytest.fixture
def labels(tmp_path):
    """Make labels folders."""
    made = iter(range(100))

    def make(zyx=None, shape=(3, 4, 5), name="gut"):
        spacing = Spacing(zyx, "test") if zyx else None
        volume = Volume.from_array(np.zeros(shape, np.uint8), spacing)
        classes = (LabelClass(value=1, name=name, color="#010203"),)
        folder = tmp_path / f"{next(made)}.meunet"
        LabelStore.create(folder, volume, classes).close()
        return folder

    return make


def test_specimens_keep_their_spacing_and_share_a_tolerance(labels):
    pairs = [
        Pair("a", labels(SIZE), labels(SIZE)),
        Pair("b", labels((1.0, 5.0, 1.0)), labels()),
        Pair("c", labels(), labels(SIZE)),
    ]
    found = common_setting(pairs)
    assert found.spacings == {"a": SIZE, "b": (1, 5, 1), "c": SIZE}
    assert (found.unit, found.tolerance) == ("um", 5.0)
    assert (found.class_name(1), found.class_name(2)) == ("gut", "2")
    assert common_setting(pairs, tolerance=0).tolerance == 0


def test_without_any_spacing_voxels_count(labels):
    found = common_setting([Pair("a", labels(), labels())])
    assert found.spacings == {"a": (1, 1, 1)}
    assert (found.unit, found.tolerance) == ("voxels", 1)


def test_a_given_spacing_holds_for_all(labels):
    pairs = [
        Pair("a", labels(SIZE), labels((9.0, 9.0, 9.0))),
        Pair("b", *2 * [labels()]),
    ]
    found = common_setting(pairs, Spacing((7.0, 8.0, 6.0), "given"))
    assert set(found.spacings.values()) == {(7.0, 8.0, 6.0)}
    assert (found.unit, found.tolerance) == ("um", 8.0)


def test_rounding_by_a_file_format_is_no_other_spacing(labels):
    rounded = tuple(float(np.float32(size * 1.0001)) for size in SIZE)
    assert common_setting([Pair("a", labels(SIZE), labels(rounded))]).unit == "um"


def test_what_contradicts_is_refused_with_both_values(labels):
    def refusal(*maps, **options):
        pairs = [Pair("ab"[number], *both) for number, both in enumerate(maps)]
        with pytest.raises(MeUNetError) as refused:
            common_setting(pairs, **options)
        return str(refused.value)

    good = (labels(SIZE), labels(SIZE))
    shapes = refusal(good, (labels(SIZE), labels(SIZE, (3, 4, 6))))
    assert "of b must have the same shape, got (3, 4, 5)" in shapes
    assert "(3, 4, 6)" in shapes
    spacings = refusal((labels(SIZE), labels((3.0, 2.0, 1.1))))
    assert "got 3 x 2 x 1 um (z, y, x)" in spacings
    assert "3 x 2 x 1.1 um" in spacings
    assert "got no spacing of b" in refusal(good, (labels(), labels()))
    names = refusal(good, (labels(SIZE), labels(SIZE, name="ovary")))
    assert "got 1 for 'gut' and, in b, for 'ovary'" in names
    model = (LabelClass(value=1, name="brain", color="#010203"),)
    assert "got 1 for 'brain'" in refusal(good, classes=model)
    for tolerance in (-1.0, float("nan")):
        assert "not be negative" in refusal(good, tolerance=tolerance)
