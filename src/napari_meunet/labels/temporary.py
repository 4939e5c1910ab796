"""Labels that nobody keeps."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from napari_meunet.config import LabelClass
from napari_meunet.labels.store import LabelStore
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
        Folder on a disk with room for them; None takes the system's.
    """
    with (
        TemporaryDirectory(prefix=".meunet-", dir=parent) as folder,
        LabelStore.create(Path(folder) / "labels", volume, tuple(classes)) as store,
    ):
        yield store
