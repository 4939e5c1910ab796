"""Make the pictures of the docs: the sample, segmented by the bundled model, in napari.

Run ``python docs/make_picture.py docs/images`` where there is a display, or put
``xvfb-run -a -s "-screen 0 1600x1000x24"`` before it.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import napari
import numpy as np
from numpy.typing import NDArray
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from napari_meunet.config import TrainingConfig
from napari_meunet.labels.reviewed import PLACE_EDGE
from napari_meunet.plugin.docks.training_options import LENGTHS, STAGES
from napari_meunet.plugin.sample import FOLDER, SEED, SHAPE
from napari_meunet.plugin.view import camera_of
from napari_meunet.training.phantoms.phantom import make_phantom

PLUGIN = "napari-meunet"

LABELS = "synthetic-fly labels"
"""The layer that the model makes of the sample."""

PLACES = 10
"""Set right before the model learns from them."""


def main(folder: Path) -> None:
    """Write the pictures into a folder."""
    with window() as viewer:
        picture_segment(viewer, folder / "segment.png")
        _, correct = viewer.window.add_plugin_dock_widget(PLUGIN, "Correct")
        picture_correct(viewer, correct, folder / "correct.png")
        picture_across(viewer, correct, folder / "across.png")
        picture_try(viewer, correct, folder / "try.png")
    with window() as viewer:
        picture_train(viewer, folder / "train.png")


@contextmanager
def window() -> Iterator[napari.Viewer]:
    """Open napari, with samples that nobody has labelled."""
    with tempfile.TemporaryDirectory() as samples:
        os.environ[FOLDER] = samples
        viewer = napari.Viewer()
        viewer.window.resize(1400, 900)
        yield viewer
        viewer.close()


def picture_segment(viewer: napari.Viewer, path: Path) -> None:
    """Segment the sample, and close the dock after the picture."""
    _, segment = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    viewer.open_sample(PLUGIN, "synthetic-fly")
    wait_until(segment.run.isEnabled)
    segment.run.click()
    wait_until(lambda: "The labels are in" in segment.result.text())
    segment.result.hide()  # the path of a temporary folder
    viewer.dims.set_current_step(0, 150)
    viewer.reset_view()
    shoot(viewer, path)
    viewer.window.remove_dock_widget(segment)


def picture_correct(viewer: napari.Viewer, correct: QWidget, path: Path) -> None:
    """Review two places, and paint in the third."""
    labels = viewer.layers[LABELS]
    labels.mode, labels.selected_label, labels.brush_size = "paint", 1, 5
    correct.next.click()
    for _ in range(2):
        paint_beside(viewer, labels)
        correct.reviewed.click()
    paint_beside(viewer, labels)
    shoot(viewer, path)


def picture_across(viewer: napari.Viewer, correct: QWidget, path: Path) -> None:
    """Show the planes across beside the next place."""
    correct.across.setChecked(True)
    correct.next.click()
    QTest.qWait(1000)
    correct.ensureWidgetVisible(correct.across)
    shoot(viewer, path)
    correct.across.setChecked(False)


def picture_try(viewer: napari.Viewer, correct: QWidget, path: Path) -> None:
    """Set places right, let the model learn from them, and try it at the next one."""
    truth, labels = make_phantom(SHAPE, SEED).labels, viewer.layers[LABELS]
    for _ in range(PLACES):
        z, y, x = (PLACE_EDGE * (i // PLACE_EDGE) for i in middle(viewer, labels))
        place = np.s_[z : z + PLACE_EDGE, y : y + PLACE_EDGE, x : x + PLACE_EDGE]
        labels.data[place] = truth[place]
        correct.reviewed.click()
    model = correct.model
    model.learn.click()
    wait_until(lambda: "were wrong before" in model.result.text())
    model.trial.try_it.click()
    wait_until(model.trial.choices.isVisible)
    QTest.qWait(1000)
    correct.ensureWidgetVisible(model.trial.choices)
    shoot(viewer, path)


def picture_train(viewer: napari.Viewer, path: Path) -> None:
    """Paint nine planes, and train on them for a while."""
    _, train = viewer.window.add_plugin_dock_widget(PLUGIN, "Train")
    viewer.open_sample(PLUGIN, "synthetic-fly")
    train.form.classes.setText("gut, ovary")
    train.paint.click()
    wait_until(lambda: train.form.labels.layer is not None)
    paint_planes(viewer, train)
    stages = dict(zip(STAGES, LENGTHS["a quick look"], strict=True))
    cubes = {"patch_size": 64, "expanded_size": 64, "batch_size": 2}
    train.form.options.value = TrainingConfig(**cubes, **stages)
    train.train.click()
    wait_until(lambda: train.progress.bar.value() > 0.6 * train.progress.bar.maximum())
    train.result.hide()
    shoot(viewer, path)
    train.pause.click()
    wait_until(lambda: "Paused" in train.result.text())


def paint_planes(viewer: napari.Viewer, train: QWidget) -> None:
    """Paint three planes a class as they are, and three without any."""
    truth = make_phantom(SHAPE, SEED).labels
    labels = train.form.labels.layer
    for value in (1, 2):
        for z in spread(np.flatnonzero((truth == value).any((1, 2)))):
            labels.data[z] = truth[z]
    labels.refresh()
    for z in spread(np.flatnonzero(~truth.any((1, 2)))):
        viewer.dims.set_current_step(0, z)
        train.form.empty.click()
    viewer.dims.set_current_step(0, SHAPE[0] // 2)


def spread(planes: NDArray[np.intp]) -> list[int]:
    """Return three planes, near the ends and in the middle."""
    places = np.quantile(planes, (0.1, 0.5, 0.9), method="nearest")
    return [int(z) for z in places]


def paint_beside(viewer: napari.Viewer, labels: napari.layers.Labels) -> None:
    """Drag the brush through the middle of the view."""
    z, y, x = middle(viewer, labels)
    with labels.block_history():
        for step in range(6):
            labels.paint((z, y + step, x), labels.selected_label)


def middle(viewer: napari.Viewer, labels: napari.layers.Labels) -> tuple[int, ...]:
    """Return the voxel in the middle of the view."""
    z = labels.world_to_data(viewer.dims.point)[0]
    _, y, x = labels.world_to_data(camera_of(viewer).center)
    return round(z), round(y), round(x)


def shoot(viewer: napari.Viewer, path: Path) -> None:
    """Take a picture of the window when it has come to rest."""
    QTest.qWait(1000)
    viewer.screenshot(str(path), canvas_only=False, flash=False)


def wait_until(condition: Callable[[], bool]) -> None:
    """Let the window live until `condition()` holds, ten minutes at most."""
    for _ in range(6000):
        if condition():
            return
        QTest.qWait(100)
    raise TimeoutError("the picture was not ready in ten minutes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
