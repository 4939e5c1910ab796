"""A working day in a real window: from a run over corrections to a better model."""

from functools import partial

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_meunet.config import SegmentationConfig
from napari_meunet.labels.box import box_at
from napari_meunet.learning import lesson
from napari_meunet.learning.comparison import Outcome
from napari_meunet.plugin import sample
from napari_meunet.plugin.layers import store_of
from napari_meunet.plugin.tools import Where

PLUGIN = "napari-meunet"
SHAPE = (40, 40, 80)  # two cells of corrections along x

pytestmark = pytest.mark.usefixtures("short_calibration")


@pytest.fixture
def make_viewer(plugin, make_napari_viewer_proxy, tmp_path, monkeypatch):
    monkeypatch.setenv(sample.FOLDER, str(tmp_path / "samples"))
    monkeypatch.setattr(sample, "SHAPE", SHAPE)
    return make_napari_viewer_proxy


@pytest.fixture
def hasty(monkeypatch):
    """Let a lesson be short, and a model of one step be better."""
    choices = {"patch_size": 32, "expanded_size": 32, "batch_size": 1, "device": "cpu"}
    few = partial(lesson.learning_config, n_steps=1, **choices)
    monkeypatch.setattr(lesson, "learning_config", few)
    monkeypatch.setattr(Outcome, "is_better", True)


class Day:
    """What a person does, in a window that is photographed."""

    def __init__(self, viewer, folder, qtbot):
        self.viewer, self._folder, self._qtbot = viewer, folder, qtbot
        self.segment, self.correct = (
            viewer.window.add_plugin_dock_widget(PLUGIN, name)[1]
            for name in ("Segment", "Correct")
        )

    @property
    def labels(self):
        return self.viewer.layers["synthetic-fly labels"]

    @property
    def voxels(self):
        return np.array(store_of(self.labels).labels)

    def run(self):
        self._wait(self.segment.run.isEnabled)
        self.segment.run.click()
        self._wait(lambda: "The labels are in" in self.segment.result.text())

    def press(self, key, modifier=Qt.NoModifier):
        self.viewer.layers.selection.active = self.labels
        picture = self.viewer.window._qt_viewer.canvas.native
        self._qtbot.keyClick(picture, key, modifier)
        self._wait(lambda: not self.correct.tools.using.busy)

    def dab(self, label):
        """Paint with the mouse, in the middle of the picture."""
        self.labels.selected_label, self.labels.mode = label, "paint"
        picture = self.viewer.window._qt_viewer.canvas.native
        middle = picture.rect().center()
        self._qtbot.mouseMove(picture, middle)
        self._qtbot.mouseClick(picture, Qt.LeftButton, pos=middle)
        self.labels.mode = "pan_zoom"

    def try_in_view(self):
        trial = self.correct.model.trial
        self._wait(trial.try_it.isEnabled)
        trial.try_it.click()
        self._wait(lambda: not trial.busy)
        return trial

    def learn(self):
        box = self.correct.model
        box.learn.click()
        self._wait(box.learn.isEnabled)
        return box.result.text()

    def photograph(self, name):
        path = self._folder / f"{name}.png"
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)

    def _wait(self, condition):
        self._qtbot.waitUntil(condition, timeout=60_000)


def test_a_day_of_corrections(make_viewer, model, hasty, tmp_path, qtbot):
    viewer = make_viewer(show=True)
    viewer.window.resize(1400, 900)
    day = Day(viewer, tmp_path, qtbot)
    for choice in (day.segment.model, day.correct.model.model):
        choice.model = model
    day.segment.options.value = SegmentationConfig(device="cpu", precision="fp32")
    viewer.open_sample(PLUGIN, "synthetic-fly")
    day.run()
    by_model = day.voxels
    day.photograph("1 segmented")

    day.press(Qt.Key_N)
    assert "0 of" in day.correct.state.text()
    day.press(Qt.Key_R)
    reviewed = store_of(day.labels).reviewed.places.copy()
    assert reviewed.sum() == 1

    day.labels.brush_size = 9
    day.press(Qt.Key_N)
    before = day.voxels
    day.dab(3)
    dabbed = np.argwhere(day.voxels != before)
    assert len(np.unique(dabbed[:, 0])) == 1  # in one plane
    assert 0 < len(dabbed) <= 81
    day.press(Qt.Key_Z, Qt.ControlModifier)
    np.testing.assert_array_equal(day.voxels, before)

    day.press(Qt.Key_K)
    store = store_of(day.labels)
    kept = store.corrected.read(box_at((0, 0, 0), store.shape))
    assert len(np.unique(np.argwhere(kept)[:, 0])) == 1  # in one plane
    assert f"{kept.sum():,} of its" in day.correct.place.text()
    assert kept.sum() <= 32**2
    np.testing.assert_array_equal(day.voxels, before)
    day.photograph("2 kept")

    day.labels.selected_label = 1
    for z in (10, 20):
        day.labels.paint((z, 20, 10), 1)
    viewer.dims.set_point(0, day.labels.data_to_world((15, 0, 0))[0])
    painted = day.voxels
    day.press(Qt.Key_I)
    assert (day.voxels[11:20] != painted[11:20]).any()
    day.photograph("3 interpolated")
    day.press(Qt.Key_Z, Qt.ControlModifier)
    np.testing.assert_array_equal(day.voxels, painted)

    trial = day.try_in_view()
    day._wait(lambda: not trial.comparison.isHidden())
    day.photograph("4 tried")
    trial.where.setCurrentText(Where.ALL.value)
    trial.take.click()
    day._wait(lambda: not trial.busy)
    assert "nothing to change" in trial.using.result.text()  # it is the same model
    trial.dismiss.click()

    for x in (10, 70):  # in two cells
        day.labels.paint((30, 20, x), 2 if day.labels.data[30, 20, x] == 1 else 1)
    corrected = day.voxels
    assert "were wrong before" in day.learn()
    day.photograph("5 learned")

    mine = corrected != by_model
    trial = day.try_in_view()  # now another one
    trial.take.click()
    day._wait(lambda: not trial.busy)
    assert "have changed" in trial.using.result.text()
    taken = day.voxels
    assert (taken != corrected).any()
    np.testing.assert_array_equal(taken[mine], corrected[mine])
    trial.dismiss.click()

    day.segment.model.model = day.correct.model.model.model
    day.run()
    again = day.voxels
    np.testing.assert_array_equal(again[mine | kept], corrected[mine | kept])
    np.testing.assert_array_equal(again[taken != corrected], taken[taken != corrected])
    assert (again != taken).any()
    place = np.s_[tuple(slice(32 * i, 32 * i + 32) for i in np.argwhere(reviewed)[0])]
    np.testing.assert_array_equal(again[place], corrected[place])
    viewer.close()

    day = Day(make_viewer(show=True), tmp_path, qtbot)
    day.viewer.open_sample(PLUGIN, "synthetic-fly")
    np.testing.assert_array_equal(day.voxels, again)
    assert store_of(day.labels).reviewed.places.sum() == 1
    day.press(Qt.Key_Z, Qt.ControlModifier)  # what was taken over is the model's again
    np.testing.assert_array_equal(day.voxels, again)
    day.press(Qt.Key_Z, Qt.ControlModifier)
    day._wait(lambda: (day.voxels != again).any())
    day.photograph("6 opened again")
