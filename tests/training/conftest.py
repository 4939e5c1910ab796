import numpy as np
import pytest

from napari_meunet.volume.volume import Volume


@pytest.fixture
def pair(rng):
    """Return a scan of noise, and labels of its brighter voxels."""
    image = rng.integers(0, 255, (34, 40, 36), dtype=np.uint8)
    return Volume.from_array(image), Volume.from_array((image > 100).astype(np.uint8))
