"""The volume: a microCT scan that is read lazily, plane by plane or block by block."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from napari_meunet.config import Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.mapped import give_back

GIVEN = "given by the user"
"""Origin of a spacing that a person gave; it counts more than what a file says."""


Affine = tuple[tuple[float, float, float, float], ...]


class Planes(Protocol):
    """What a file format gives: an array-like that reads only what is indexed.

    Indexing takes a tuple of up to three slices or integers, as numpy does, and is
    cheapest for whole consecutive planes. It may be called from several threads.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along (z, y, x)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the voxels."""
        ...

    def __getitem__(self, index: Any, /) -> NDArray[Any]:
        """Read a part."""
        ...


def kept_bytes(planes: Planes, section: tuple[int, int]) -> int:
    """Return what planes keep in memory when so many voxels along (y, x) are read.

    Most keep nothing, and do not say so.
    """
    kept = getattr(planes, "kept_bytes", None)
    return kept(section) if kept else 0


@dataclass(frozen=True)
class Spacing:
    """Size of a voxel, and how the voxels lie in the scanner if the file says so.

    Attributes
    ----------
    zyx
        Micrometres per voxel along (z, y, x), all positive.
    origin
        Where the numbers were read: ``"ImageJ TIFF"``, ``"given by the user"``.
    affine
        ``(4, 4)``, from voxels (x, y, z) to millimetres right, anterior, superior,
        as in a NIfTI header. Kept for exports, so that labels lie on their scan.
    """

    zyx: tuple[float, float, float]
    origin: str
    affine: Affine | None = None

    def __post_init__(self) -> None:
        """Refuse sizes that are not positive and finite."""
        if not all(np.isfinite(size) and size > 0 for size in self.zyx):
            raise MeUNetError(
                f"spacing must be positive along every axis, got {self.zyx}; "
                "pass --spacing Z Y X in micrometres"
            )


@dataclass(frozen=True)
class Source:
    """Where a volume comes from.

    Attributes
    ----------
    path
        File or folder; None for an array in memory.
    format
        For people: ``"ImageJ TIFF"``, ``"folder of 200 TIFF slices"``.
    n_bytes
        Size on disk; None where adding it up would take long.
    """

    path: Path | None
    format: str
    n_bytes: int | None


@dataclass(frozen=True)
class Volume:
    """A scan, opened but not read.

    Attributes
    ----------
    planes
        The voxels, ``(z, y, x)``, in the file's own data type.
    spacing
        None if the file does not say.
    source
        Where it comes from.
    chunks
        Blocks of `data` along (z, y, x), which viewers read whole.
    lower
        The same scan at lower resolutions, finest first, where the file holds them.
    known
        What was found out about the voxels, so that it need not be read again; shared
        with copies of another spacing.
    """

    planes: Planes = field(repr=False)
    spacing: Spacing | None
    source: Source
    chunks: Shape
    lower: tuple[Self, ...] = ()
    known: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_array(
        cls, array: Planes, spacing: Spacing | None = None, chunks: Shape | None = None
    ) -> Self:
        """Wrap an array-like ``(z, y, x)`` that is not a file."""
        z, y, x = array.shape
        source = Source(None, "array", z * y * x * array.dtype.itemsize)
        return cls(array, spacing, source, chunks or (1, y, x))

    @property
    def shape(self) -> Shape:
        """Voxels along (z, y, x)."""
        z, y, x = self.planes.shape
        return z, y, x

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the voxels."""
        return self.planes.dtype

    def kept_bytes(self, section: tuple[int, int]) -> int:
        """Return the memory that reading plane after plane keeps beside the planes.

        Parameters
        ----------
        section
            Voxels along (y, x) that are read of each plane.
        """
        return kept_bytes(self.planes, section)

    @cached_property
    def data(self) -> da.Array:
        """The voxels as a lazy Dask array ``(z, y, x)``, for viewers."""
        meta = np.empty((0, 0, 0), self.dtype)
        planes = _OnlyIndexed(self.planes)
        return da.from_array(planes, chunks=self.chunks, name=False, meta=meta)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return planes ``start:stop`` as an array ``(stop - start, y, x)``.

        This is the engine's way in: it bypasses Dask. The array may be a read-only
        view of a memory-mapped file.
        """
        return np.asarray(self.planes[start:stop])

    def give_back(self) -> None:
        """Give back the memory of a mapped file, see `mapped.give_back`."""
        planes = self.planes
        while (inner := getattr(planes, "planes", None)) is not None:
            planes = inner
        if isinstance(planes, np.ndarray):
            give_back(planes)

    def with_spacing(self, zyx: tuple[float, float, float]) -> Self:
        """Return the same volume with a spacing that a person gave."""
        return replace(self, spacing=Spacing(zyx, GIVEN))


@dataclass(frozen=True)
class _OnlyIndexed:
    """Planes without a `copy`: Dask calls it, and so reads a memory map whole."""

    planes: Planes

    @property
    def shape(self) -> tuple[int, ...]:
        return self.planes.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.planes.dtype

    def __getitem__(self, index: Any, /) -> NDArray[Any]:
        return self.planes[index]
