"""Trying a model on a part of a scan: what the worker thread does."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray

from napari_meunet.config import LabelClass, SegmentationConfig
from napari_meunet.labels.box import Box, extent, within
from napari_meunet.plugin.layers import colormap
from napari_meunet.plugin.scan import grey_values, scan_of
from napari_meunet.plugin.torch_import import import_torch
from napari_meunet.progress import Progress

if TYPE_CHECKING:
    from napari_meunet.labels.store import LabelStore
    from napari_meunet.volume.volume import Volume


MOST_PIXELS = 400
"""Along an edge of a picture: a dock has no room for more."""


_TRIED = "meunet tried"  # key in a layer's metadata


@dataclass(frozen=True)
class Trial:
    """What is tried.

    Attributes
    ----------
    image
        Shows the scan.
    store
        Its labels.
    model
        The name of a bundled model, or a file.
    box
        Where.
    """

    image: Image
    store: "LabelStore"
    model: str
    box: Box


@dataclass(frozen=True)
class Tried:
    """What came of it.

    Attributes
    ----------
    volume
        The scan.
    store
        Labels as they are.
    box
        Where the model was tried.
    labels
        What it says there, uint8 ``(z, y, x)``.
    n_different
        Voxels that had another label then.
    """

    volume: "Volume"
    store: "LabelStore"
    box: Box
    labels: NDArray[np.uint8]
    n_different: int

    def layer_over(self, layer: Labels) -> Labels:
        """Return outlines of the new labels that lie over those of a layer."""
        start = [part.start for part in self.box]
        shown = Labels(
            self.labels,
            name=f"{layer.name} tried",
            colormap=colormap(tuple(map(_lighter, self.store.classes))),
            features=layer.features,
            scale=layer.scale,
            rotate=layer.rotate,
            shear=layer.shear,
            affine=layer.affine,
            translate=layer.affine.inverse(layer.data_to_world(start)),
            axis_labels=layer.axis_labels,
            units=layer.units,
            metadata={_TRIED: True},
        )
        shown.contour = 1
        shown.editable = False
        return shown

    def side_by_side(self, part: Box, axis: int) -> "SideBySide":
        """Return a plane as the model had it, as it is and as it would be.

        Parameters
        ----------
        part
            Some of the box, one voxel along `axis`.
        axis
            Across which the plane lies.
        """
        planes = (
            grey_values(self.volume, part),
            self.store.model[part],
            self.store.labels[part],
            self.labels[within(self.box, part)],
        )
        step = -(-max(extent(part)) // MOST_PIXELS)
        image, *labels = (
            np.array(np.take(plane, 0, axis)[::step, ::step]) for plane in planes
        )
        down, right = (size for i, size in enumerate(self.store.voxel) if i != axis)
        return SideBySide(image, *labels, tall=down / right)


@dataclass(frozen=True)
class SideBySide:
    """Arrays ``(rows, columns)`` of a plane: grey values from 0 to 1, and labels.

    A voxel is so many times as `tall` as it is wide.
    """

    image: NDArray[np.float32]
    model: NDArray[np.uint8]
    mine: NDArray[np.uint8]
    new: NDArray[np.uint8]
    tall: float


def _lighter(label: LabelClass) -> LabelClass:
    """Return a class in a colour that is seen on its own."""
    red, green, blue = (int(label.color[i : i + 2], 16) for i in (1, 3, 5))
    light = (255 - (255 - part) // 3 for part in (red, green, blue))
    color = "#" + "".join(f"{part:02x}" for part in light)
    return label.model_copy(update={"color": color})


def is_tried(layer: Layer) -> bool:
    """Tell whether a layer shows what was tried; it is nothing to work on."""
    return _TRIED in layer.metadata


def try_as_asked(trial: Trial) -> Generator[Progress, None, Tried]:
    """Label the box; if the last run took the mean over flipped scans, so does this.

    Raises
    ------
    MeUNetError
        As the engine, or if scan or model cannot be opened or do not belong to the
        labels.
    """
    import_torch()
    from napari_meunet.inference.part import segment_part
    from napari_meunet.inference.segment import averages_as_before
    from napari_meunet.network.checkpoint import load_checkpoint

    checkpoint, store = load_checkpoint(trial.model), trial.store
    volume = scan_of(trial.image, store)
    store.require_scan(volume)
    store.require_classes(checkpoint.card.classes)
    how = SegmentationConfig(average=averages_as_before(store, checkpoint.card))
    parent = store.folder.parent
    labels = yield from segment_part(volume, checkpoint, how, trial.box, parent)
    n_different = np.count_nonzero(store.labels[trial.box] != labels)
    return Tried(volume, store, trial.box, labels, int(n_different))
