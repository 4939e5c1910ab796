import platform

import numpy as np
import psutil
import pytest

from napari_meunet.training.loop.allocator import freed_memory_kept

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc can be told"
)

LEAST_FAULTS = 128
"""Of 256 MB: one for each huge page of 2 MiB, 512 times more with small pages."""


def page_faults_of_256_mb():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty(256 << 20, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_the_same_pages_serve_again():
    page_faults_of_256_mb()
    assert page_faults_of_256_mb() >= LEAST_FAULTS
    with freed_memory_kept():
        page_faults_of_256_mb()
        assert page_faults_of_256_mb() < LEAST_FAULTS / 2


def test_the_memory_goes_back_at_the_end():
    process = psutil.Process()
    before = process.memory_info().rss
    with freed_memory_kept():
        page_faults_of_256_mb()
    assert process.memory_info().rss - before < 16 << 20
