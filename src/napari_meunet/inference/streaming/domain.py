"""What a stream passes through."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Domain:
    """What a stream passes through.

    Attributes
    ----------
    depth, section
        Planes, and voxels along (y, x), all multiples of 16.
    start
        First plane that is pushed, a multiple of `slab`.
    slab
        Planes per push, a multiple of 16.
    band
        Most voxels times channels that a stage holds at once of what it makes, or of
        what it reads at its own resolution.
    """

    depth: int
    section: tuple[int, int]
    start: int
    slab: int
    band: int
