"""Sample data: a synthetic fly, drawn once on this computer."""

import os
from pathlib import Path

import platformdirs
import tifffile

from napari_meunet.atomic import replacing, writing
from napari_meunet.labels.tiff import ome_calibration
from napari_meunet.plugin.layers import LayerData, scan_layers
from napari_meunet.plugin.watch import watch_current_viewer
from napari_meunet.training.phantoms.phantom import make_phantom
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Spacing

SHAPE = (256, 112, 112)
"""The proportions of a fly, drawn in a second."""

SEED = 2022
"""Of a fly that the bundled model has not seen in training."""

FOLDER = "NAPARI_MEUNET_SAMPLES"
"""Environment variable: where samples are written instead of the user's data."""


def synthetic_fly() -> list[LayerData]:
    """Return the layers of a synthetic fly: a file, so that its labels have a place."""
    watch_current_viewer()
    path = sample_folder() / "synthetic-fly.tif"
    if not path.exists():
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        _draw(path)
    return scan_layers(open_volume(path))


def sample_folder() -> Path:
    """Return the folder of the samples."""
    folder = os.environ.get(FOLDER)
    if folder:
        return Path(folder)
    return platformdirs.user_data_path("napari-meunet") / "samples"


def _draw(path: Path) -> None:
    phantom = make_phantom(SHAPE, SEED)
    spacing = Spacing(phantom.spacing, "phantom")
    with replacing(path) as temporary:
        tifffile.imwrite(temporary, phantom.image, **ome_calibration(spacing))
