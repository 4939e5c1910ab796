"""Make the README's picture: the sample, segmented by the bundled model, in napari.

Run ``python docs/make_picture.py docs/images/segment.png`` where there is a display,
or put ``xvfb-run -a -s "-screen 0 1600x1000x24"`` before it.
"""

import os
import sys
import tempfile
from collections.abc import Callable

import napari
from qtpy.QtTest import QTest

PLUGIN = "napari-meunet"


def main(path: str) -> None:
    """Write the picture to `path`."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_MEUNET_SAMPLES"] = folder
        viewer = napari.Viewer()
        viewer.window.resize(1400, 900)
        _, segment = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
        viewer.open_sample(PLUGIN, "synthetic-fly")
        wait_until(segment.run.isEnabled)
        segment.run.click()
        wait_until(lambda: "The labels are in" in segment.result.text())
        segment.result.hide()  # the path of a temporary folder
        viewer.dims.set_current_step(0, 150)
        viewer.reset_view()
        QTest.qWait(500)
        viewer.screenshot(path, canvas_only=False, flash=False)
        viewer.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Let the window live until `condition()` holds, ten minutes at most."""
    for _ in range(6000):
        if condition():
            return
        QTest.qWait(100)
    raise TimeoutError("the picture was not ready in ten minutes")


if __name__ == "__main__":
    main(sys.argv[1])
