"""Which planes a run has written, and which of them are on the disk."""

from time import monotonic

from napari_meunet.inference.target import LabelTarget

SETTLE_SECONDS = 2.0
"""Between two times that a run waits for the disk; a power cut costs as much work."""


class Ledger:
    """Counts planes as they are written, and marks them as finished now and then.

    To mark them is to wait until they are on the disk, which for every slab of a fast
    device would take longer than to compute it. One thread writes, another may ask
    meanwhile.

    Parameters
    ----------
    labels
        Where the planes are written.
    """

    def __init__(self, labels: LabelTarget) -> None:
        self._labels = labels
        self._written: dict[str, int] = {}
        self._settled = monotonic()

    def planes(self, column: str) -> int:
        """Return how many planes of a column are written, on the disk or not."""
        return self._written.get(column, 0) or self._labels.finished_planes(column)

    def note(self, column: str, start: int, stop: int) -> None:
        """Count planes ``start:stop`` of a column as written, if those before are.

        They are not if writing them has failed, of which another thread will hear.

        Raises
        ------
        MeUNetError
            If it is time to settle, and the disk is full or fails.
        """
        if start > self.planes(column):
            return
        self._written[column] = stop
        if monotonic() - self._settled >= SETTLE_SECONDS:
            self.settle()

    def settle(self) -> None:
        """Mark all that is written as finished.

        Raises
        ------
        MeUNetError
            If the disk is full or fails.
        """
        for column, planes in self._written.items():
            self._labels.mark_finished(column, planes)
        self._written.clear()
        self._settled = monotonic()
