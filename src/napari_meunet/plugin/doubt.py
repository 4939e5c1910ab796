"""Where the model is unsure: a heat map over scan and labels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_meunet.config import CONFIDENCE_EDGE
from napari_meunet.plugin.layers import AXES
from napari_meunet.volume.lazy_array import LazyArray

if TYPE_CHECKING:
    from napari_meunet.labels.store import LabelStore
    from napari_meunet.labels.tiff import LabelMap

MOST = 128
"""Doubt that is drawn brightest: that of a coin."""

_FOLDER = "meunet doubt"  # key in a layer's metadata


@dataclass(frozen=True, eq=False)
class Doubt(LazyArray):
    """How likely labels are to be wrong, 255 times: an array that is read as needed.

    Attributes
    ----------
    confidence
        Of blocks of voxels, see `napari_meunet.labels.confidence`. Where the model has
        said nothing there is no doubt.
    """

    confidence: "LabelMap"

    @property
    def shape(self) -> tuple[int, ...]:
        """Blocks along (z, y, x)."""
        return self.confidence.shape

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Always uint8."""
        return np.dtype(np.uint8)

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        """Read a part."""
        from napari_meunet.labels.confidence import doubt_of

        return doubt_of(np.asarray(self.confidence[index]))


def doubt_layer(store: "LabelStore") -> Image | None:
    """Return a layer that lies over the labels; None if no model has said it."""
    if store.confidence is None:
        return None
    voxel = np.array(store.voxel)
    return Image(
        Doubt(store.confidence),
        rgb=False,
        name=f"{store.folder.stem} doubt",
        colormap="red",
        interpolation2d="linear",
        blending="additive",
        contrast_limits=(0, MOST),
        scale=CONFIDENCE_EDGE * voxel,
        translate=(CONFIDENCE_EDGE - 1) / 2 * voxel,  # to the middle of the first block
        axis_labels=AXES,
        units=("um",) * len(AXES) if store.spacing else None,
        metadata={_FOLDER: store.folder},
    )


def is_doubt(layer: Layer) -> bool:
    """Tell whether a layer shows doubt; it is no scan, though it is an image."""
    return _FOLDER in layer.metadata


def doubts(store: "LabelStore", layer: Layer) -> bool:
    """Tell whether a layer shows the doubt about the labels of a store."""
    return bool(layer.metadata.get(_FOLDER) == store.folder)
