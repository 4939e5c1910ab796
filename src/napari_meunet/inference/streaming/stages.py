"""A stage over a stream of planes: two convolutions that make every voxel once.

A stage works through the section in bands of rows, so that what lies between its two
convolutions stays small. The second one needs a margin of it around a band. That is not
made again: the last planes are kept for the next slab, the last rows for the next band.
"""

from dataclasses import replace

from torch import Tensor

from napari_meunet.inference.streaming.convolutions import convolved, convolved_doubled
from napari_meunet.inference.streaming.domain import Domain
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.ring import Ring
from napari_meunet.inference.streaming.schedule import OVERLAP, Stage, band_rows
from napari_meunet.inference.streaming.sources import Sources, clear_outside


class StageStream:
    """One stage over a stream of planes, band by band.

    All bands of a slab are made before the next slab, from the first rows to the last.

    Attributes
    ----------
    slab
        Planes that are made at once.
    """

    def __init__(
        self,
        stage: Stage,
        weights: FoldedCascade,
        rings: dict[str, Ring],
        domain: Domain,
    ) -> None:
        scale = stage.scale
        self._layers = weights.stages[stage.module]
        self._weights, self._n_out = weights, stage.n_out
        self.slab, self._depth = domain.slab // scale, domain.depth // scale
        self._height, self._width = (n // scale for n in domain.section)
        planes = self.slab + OVERLAP
        sources = list(stage.sources)
        size, half = (
            (planes // n, self._height // n, self._width // n) for n in (1, 2)
        )
        self._beneath: Sources | None = None
        if self._layers.doubled:
            beneath = [replace(sources.pop(), how="same")]
            self._beneath = Sources(beneath, rings, weights.empty, half, weights.dtype)
        dtype = self._layers.first.weight.dtype
        self._seen = Sources(sources, rings, weights.empty, size, dtype)
        rows = band_rows(stage, domain.slab, domain.section[1], domain.band)
        starts = range(0, self._height, rows)
        self._bands = [slice(i, min(i + rows, self._height)) for i in starts]
        # What the slab and the band before have left; a row of padding on either side.
        sizes = (OVERLAP, self._height + OVERLAP), (self.slab, OVERLAP)
        self._last_planes, self._last_rows = (
            weights.empty((1, stage.n_out, *size, self._width)).zero_()
            for size in sizes
        )

    def bands(self, first: int) -> list[slice]:
        """Return the rows that are to be made at once, in planes from `first` on.

        There are none before the volume and behind it, where all is zero. A slab that
        ends right before it leaves the plane in which the volume begins to the next.
        """
        return self._bands if -self.slab <= first < self._depth else []

    def features(self, first: int, rows: slice) -> Tensor:
        """Make a band of the planes from `first` on.

        Returns
        -------
        Tensor
            ``(1, n_out, k, rows, x)``; zero where the plane is outside the volume.
        """
        between = self._between(first, rows)
        features = convolved(between, self._layers.second)
        clear_outside(features, 2, first, self._depth)
        return features

    def _between(self, first: int, rows: slice) -> Tensor:
        """Return what the second convolution reads, ``(1, n_out, k+2, rows+2, x)``.

        Only what no slab and no band before has made is new.
        """
        known = OVERLAP if rows.start else 0
        new = self._convolved(first, slice(rows.start - 1 + known, rows.stop + 1))
        planes, height = self.slab + OVERLAP, rows.stop - rows.start + OVERLAP
        shape = (1, self._n_out, planes, height, self._width)
        between = self._weights.empty(shape)
        padded = slice(rows.start, rows.stop + OVERLAP)
        between[:, :, :OVERLAP] = self._last_planes[:, :, :, padded]
        made = between[:, :, OVERLAP:]
        made[:, :, :, :known] = self._last_rows[:, :, :, :known]
        made[:, :, :, known:] = new
        clear_outside(made, 2, first + 1, self._depth)
        clear_outside(made, 3, rows.start - 1, self._height)
        self._keep(between, rows)
        return between

    def _keep(self, between: Tensor, rows: slice) -> None:
        """Keep the last planes for the next slab, and the last rows for the next band.

        The next band has still to read the last two rows that the slab before has left.
        """
        self._last_rows.copy_(between[:, :, OVERLAP:, -OVERLAP:])
        n = rows.stop - rows.start
        if rows.stop == self._height:
            n += OVERLAP
        kept = self._last_planes[:, :, :, rows.start : rows.start + n]
        kept.copy_(between[:, :, -OVERLAP:, :n])

    def _convolved(self, first: int, rows: slice) -> Tensor:
        """Return the first convolution in planes ``first + 1:first + 1 + k``."""
        seen = slice(rows.start - 1, rows.stop + 1)
        other = None
        if self._beneath and self._layers.doubled:
            # rows that are seen are whole pairs, each one row of the level beneath
            pairs = slice(seen.start // 2, seen.stop // 2)
            window = self._beneath.window(first // 2, pairs)
            other = convolved_doubled(window, self._layers.doubled)
        window = self._seen.window(first, seen)
        return convolved(window, self._layers.first, other)
