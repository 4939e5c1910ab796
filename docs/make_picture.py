"""Make the pictures of the docs: the sample, segmented by the bundled model, in napari.

Run ``python docs/make_picture.py docs/images`` where there is a display, or put
``xvfb-run -a -s "-screen 0 1600x1000x24"`` before it.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtTest import QTest

PLUGIN = "napari-meunet"


def main(folder: Path) -> None:
    """Write ``segment.png`` and ``correct.png`` into a folder."""
    with tempfile.TemporaryDirectory() as samples:
        os.environ["NAPARI_MEUNET_SAMPLES"] = samples
        viewer = napari.Viewer()
        viewer.window.resize(1400, 900)
        picture_segment(viewer, folder / "segment.png")
        picture_correct(viewer, folder / "correct.png")
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


def picture_correct(viewer: napari.Viewer, path: Path) -> None:
    """Review two places, and paint in the third."""
    _, correct = viewer.window.add_plugin_dock_widget(PLUGIN, "Correct")
    labels = viewer.layers[-1]
    labels.mode, labels.selected_label, labels.brush_size = "paint", 1, 5
    correct.next.click()
    for _ in range(2):
        paint_beside(viewer, labels)
        correct.reviewed.click()
    paint_beside(viewer, labels)
    shoot(viewer, path)


def paint_beside(viewer: napari.Viewer, labels: napari.layers.Labels) -> None:
    """Drag the brush through the middle of the view."""
    z = round(labels.world_to_data(viewer.dims.point)[0])
    _, y, x = labels.world_to_data(viewer.camera.center)
    with labels.block_history():
        for step in range(6):
            labels.paint((z, round(y) + step, round(x)), labels.selected_label)


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
