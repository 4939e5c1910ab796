"""How long the window stands still while the network computes: told, not judged."""

import sys
from time import perf_counter

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer

from napari_meunet.plugin import sample

BEAT_MILLISECONDS = 5


@pytest.mark.slow
def test_the_window_goes_on_while_the_network_computes(
    plugin, make_napari_viewer_proxy, tmp_path, monkeypatch, qtbot, capsys
):
    monkeypatch.setenv(sample.FOLDER, str(tmp_path))
    viewer = make_napari_viewer_proxy(show=True)
    _, widget = viewer.window.add_plugin_dock_widget("napari-meunet", "Segment")
    viewer.open_sample("napari-meunet", "synthetic-fly")
    qtbot.waitUntil(widget.run.isEnabled, timeout=60_000)

    beats, shown = [], []
    viewer.layers.events.inserted.connect(lambda _: shown.append(perf_counter()))
    timer = QTimer(interval=BEAT_MILLISECONDS, timerType=Qt.TimerType.PreciseTimer)
    timer.timeout.connect(lambda: beats.append(perf_counter()))
    timer.start()
    widget.run.click()
    qtbot.waitUntil(
        lambda: "The labels are in" in widget.result.text(), timeout=300_000
    )
    timer.stop()

    lags = 1000 * np.diff(beats) - BEAT_MILLISECONDS
    later = lags[np.array(beats[:-1]) > shown[-1]]  # napari has made the labels' layer
    assert min(lags.size, later.size) > 10
    with capsys.disabled():
        sys.stdout.write(
            f"\nthe event loop was late by {np.percentile(lags, 95):.0f} ms or less in "
            f"95 % of {lags.size} times, and by {lags.max():.0f} ms at most; by "
            f"{later.max():.0f} ms once the labels had their layer\n"
        )
