"""Labels that nobody keeps."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from napari_meunet.config import LabelClass
from napari_meunet.labels.store import LabelStore
from napari_meunet.temporary import folder_with_room
from napari_meunet.volume.volume import Volume


@contextmanager
def temporary_labels(
    volume: Volume, classes: Sequence[LabelClass], parent: Path | None = None
) -> Iterator[LabelStore]:
    """Make empty labels of a scan that are gone when the block ends.

    Parameters
    ----------
    volume
        The scan.
    classes
        What the values stand for.
    parent
        Folder on a disk with room for them; None takes a folder for temporary files.
    """
    folder_there = parent or folder_with_room(math.prod(volume.shape))
    with TemporaryDirectory(
        prefix=".meunet-", dir=folder_there, ignore_cleanup_errors=True
    ) as folder:
        labels = Path(folder) / "labels"
        with LabelStore.create(labels, volume, tuple(classes)) as store:
            yield store
        store.unmap()  # Windows removes no file that is mapped
