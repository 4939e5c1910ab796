"""Label maps of any format, opened alike: a labels folder or a label volume."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from napari_meunet.config import LabelClass
from napari_meunet.labels.folder import is_labels_folder
from napari_meunet.labels.store import LabelStore
from napari_meunet.labels.tiff import LabelMap
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.volume import Planes, Spacing


@dataclass(frozen=True)
class OpenedLabels:
    """Labels that can be read, and what they say of themselves.

    Attributes
    ----------
    planes
        Label values ``(z, y, x)``.
    spacing
        None if it is unknown.
    classes
        What the values stand for; only a labels folder says so.
    confidence
        How sure the model was, likewise; None if it has not said it.
    """

    planes: Planes
    spacing: Spacing | None
    classes: tuple[LabelClass, ...] = ()
    confidence: LabelMap | None = None


@contextmanager
def opened_labels(path: Path) -> Iterator[OpenedLabels]:
    """Open a labels folder or a label volume to read it while the block runs.

    Raises
    ------
    MeUNetError
        If there is neither at `path`, or it is damaged.
    """
    if is_labels_folder(path):
        with LabelStore.open(path, writable=False) as store:
            known = store.classes, store.confidence
            yield OpenedLabels(store.labels, store.spacing, *known)
    else:
        volume = open_volume(path)
        yield OpenedLabels(volume.planes, volume.spacing)
