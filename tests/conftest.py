"""What tests of several rooms share."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# The networks of the tests are tiny: more threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A test tells whether the code is right, not whether the machine is idle.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def shared_data():
    """Return the folder of real scans beside the repository, or skip the test."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real scans (../shared/data) are not on this machine")
    return folder


@pytest.fixture
def rng():
    """Return a random generator that gives the same numbers in every run."""
    return np.random.default_rng(2022)


@pytest.fixture
def short_calibration(monkeypatch):
    """Let trainings measure the BatchNorm statistics over few batches."""
    monkeypatch.setattr("napari_meunet.training.loop.fit.CALIBRATION_STEPS", 2)
    monkeypatch.setattr("napari_meunet.training.loop.fit.INTERIM_STEPS", 2)


@pytest.fixture
def resident():
    """Return a function that tells how much of a mapped file is in our memory."""
    if sys.platform != "linux":
        pytest.skip("memory by file is asked from /proc")
    return _resident


def _resident(path):
    found, counts = 0, False
    with Path("/proc/self/smaps").open() as maps:
        for line in maps:
            name, *values = line.split()
            if not name.endswith(":"):
                counts = line.rstrip().endswith(os.fspath(path))
            elif name == "Rss:" and counts:
                found += 1024 * int(values[0])
    return found
