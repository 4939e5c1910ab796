import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from napari_meunet.config import LabelClass
from napari_meunet.errors import MeUNetError
from napari_meunet.training.evaluation.agreement import Agreement
from napari_meunet.training.evaluation.figure import (
    PALETTE,
    agreement_figure,
    require_drawable,
    save_figure,
)
from napari_meunet.training.evaluation.setting import Setting

GUT = LabelClass(value=1, name="gut", color="#123456")
SETTING = Setting({}, "um", 3.0, {1: GUT})
SPECIMENS = {
    "a": {1: Agreement(0.9, 0.8, 0.1, 12.0, 0.95), 2: Agreement(0, 0, None, None, 0)},
    "b": {1: Agreement(0.7, 0.5, 0.1, 30.0, 0.65)},
    "c": {1: Agreement(0.5, 0.3, 0.1, 18.0, 0.35)},
}


def dots(axes):
    """Return the scores of every class, in the order of the classes."""
    return [cloud.get_offsets()[:, 0].tolist() for cloud in axes.collections]


def test_every_specimen_is_a_dot_where_it_has_a_value():
    dice, surface_dice, hd95 = agreement_figure(SPECIMENS, SETTING).axes
    assert dots(dice) == [[0.9, 0.7, 0.5], [0]]
    assert dots(surface_dice) == [[0.95, 0.65, 0.35], [0]]
    assert dots(hd95) == [[12, 30, 18], []]
    assert [text.get_text() for text in hd95.texts] == ["n = 3", "n = 0"]


def test_a_bar_stands_at_each_mean():
    dice, _, hd95 = agreement_figure(SPECIMENS, SETTING).axes
    (gut, ovary), (distance,) = dice.lines, hd95.lines
    assert gut.get_xdata().tolist() == pytest.approx([0.7, 0.7])
    assert ovary.get_xdata().tolist() == [0, 0]
    assert distance.get_xdata().tolist() == [20, 20]


def test_a_specimen_lies_at_one_height_in_every_panel():
    heights = [
        axes.collections[0].get_offsets()[:, 1]
        for axes in agreement_figure(SPECIMENS, SETTING).axes
    ]
    np.testing.assert_array_equal(heights[0], heights[1])
    np.testing.assert_array_equal(heights[0], heights[2])
    assert len(set(heights[0])) == 3


def test_classes_have_the_names_and_colors_of_the_card():
    figure = agreement_figure(SPECIMENS, SETTING)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "gut",
        "2",
    ]
    for axes in figure.axes:
        colors = [to_hex(cloud.get_facecolor()[0]) for cloud in axes.collections]
        assert colors == ["#123456", PALETTE[1]]


def test_titles_say_unit_and_tolerance():
    titles = [axes.get_title() for axes in agreement_figure(SPECIMENS, SETTING).axes]
    assert titles == ["Dice", "surface Dice within 3 µm", "HD95 (µm)"]


@pytest.mark.parametrize("specimens", [SPECIMENS, {"a": {}}])
def test_the_file_is_a_picture(specimens, tmp_path):
    path = tmp_path / "figure.png"
    save_figure(agreement_figure(specimens, SETTING), path)
    with Image.open(path) as picture:
        assert picture.size[0] == 1800
        assert np.asarray(picture).std() > 0
    assert [file.name for file in tmp_path.iterdir()] == ["figure.png"]


def test_what_cannot_be_drawn_is_said_before(monkeypatch):
    with pytest.raises(MeUNetError, match=r"got 'figure\.txt'"):
        require_drawable(Path("figure.txt"))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MeUNetError, match=r'install "napari-meunet\[figures\]"'):
        require_drawable(Path("figure.png"))
