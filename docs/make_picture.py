"""Make the pictures of the docs, in a real napari window.

Run ``python docs/make_picture.py segment docs/images/segment.png``, or ``train`` and
``train.png`` (some minutes), where there is a display; or put
``xvfb-run -a -s "-screen 0 1600x1000x24"`` before it.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import napari
import tifffile
from qtpy.QtTest import QTest

from napari_meunet.training.phantoms.phantom import make_phantom

PLUGIN = "napari-meunet"

PAINTED = (55, 92, 119, 148, 176, 223)
"""Planes of the phantom: three with gut, three with ovary, some with both."""


def main(dock: str, path: str) -> None:
    """Write the picture of a dock to `path`."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_MEUNET_SAMPLES"] = folder
        viewer = napari.Viewer()
        viewer.window.resize(1400, 900)
        viewer.window.add_plugin_dock_widget(PLUGIN, dock.capitalize())
        {"segment": segmented, "train": trained}[dock](viewer, Path(folder))
        viewer.reset_view()
        QTest.qWait(500)
        viewer.screenshot(path, canvas_only=False, flash=False)
        viewer.close()


def segmented(viewer: napari.Viewer, _: Path) -> None:
    """Label the sample with the bundled model."""
    widget = dock_of(viewer)
    viewer.open_sample(PLUGIN, "synthetic-fly")
    wait_until(widget.run.isEnabled)
    widget.run.click()
    wait_until(lambda: "The labels are in" in widget.result.text())
    widget.result.hide()  # the path of a temporary folder
    viewer.dims.set_current_step(0, 150)


def trained(viewer: napari.Viewer, folder: Path) -> None:
    """Train for some minutes on a fly with six painted planes."""
    phantom = make_phantom(seed=50)
    tifffile.imwrite(folder / "fly.tif", phantom.image)
    viewer.open(folder / "fly.tif", plugin=PLUGIN)
    widget = dock_of(viewer)
    widget.form.classes.setText("gut, ovary")
    wait_until(widget.paint.isVisible)
    widget.paint.click()
    wait_until(lambda: len(viewer.layers) == 2)
    labels = viewer.layers[1]
    for z in PAINTED:
        labels.data[z] = phantom.labels[z]
    labels.refresh()
    viewer.dims.set_current_step(0, PAINTED[3])
    widget.form.options.length.value = "a quick look"
    widget.train.click()
    wait_until(
        lambda: widget.progress.bar.value() > 0.6 * widget.progress.bar.maximum()
    )
    widget.form.output.hide()  # the path of a temporary folder


def dock_of(viewer: napari.Viewer) -> object:
    """Return the only dock of the plugin that is open."""
    (dock,) = viewer.window.dock_widgets.values()
    return dock


def wait_until(condition: Callable[[], bool]) -> None:
    """Let the window live until `condition()` holds, half an hour at most."""
    for _ in range(18_000):
        if condition():
            return
        QTest.qWait(100)
    raise TimeoutError("the picture was not ready in half an hour")


if __name__ == "__main__":
    main(*sys.argv[1:])
