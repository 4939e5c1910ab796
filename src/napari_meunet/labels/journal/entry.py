"""Entries of the journal as bytes."""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Self

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from napari_meunet.labels.box import Box, box_at
from napari_meunet.labels.edit import Edit

_HEADER = struct.Struct("<BQdB")
"""Kind, number, seconds since 1970, and how many bytes the name of the tool has."""

_EDIT = struct.Struct("<6IQ?")
"""First voxel and extent of the box, how many of its voxels change, and whether they
become corrected."""

_LEVEL = 1
"""Of compression: a stroke of the brush must not wait for it."""


class Kind(IntEnum):
    """What an entry says."""

    EDIT = 1  # an edit of a stroke was made
    UNDO = 2  # a stroke was undone
    REDO = 3  # it was done again
    SYNCED = 4  # the voxels on the disk hold what so many entries say
    BEGIN = 5  # a tool begins a stroke, which counts only if it comes to its end
    END = 6  # it has come to its end
    DROP = 7  # it did not, and its edits were taken back
    SCAN = 8  # the journal is of labels of this scan


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal.

    Attributes
    ----------
    kind
        What it says.
    number
        Of the stroke; for `Kind.SYNCED`, of entries.
    time
        When it was made.
    tool
        Which tool made the edit; for `Kind.SCAN`, the fingerprint of the scan; else
        empty.
    packed
        The edit, as `packed` returns it; empty for other kinds.
    """

    kind: Kind
    number: int
    time: datetime
    tool: str = ""
    packed: bytes = b""

    def to_bytes(self) -> bytes:
        """Return the entry as a record."""
        tool = self.tool.encode()
        header = _HEADER.pack(self.kind, self.number, self.time.timestamp(), len(tool))
        return header + tool + self.packed

    @classmethod
    def from_bytes(cls, record: bytes) -> Self:
        """Return the entry that `to_bytes` made a record of."""
        kind, number, seconds, n = _HEADER.unpack_from(record)
        tool, edit = record[_HEADER.size :][:n], record[_HEADER.size + n :]
        time = datetime.fromtimestamp(seconds, UTC)
        return cls(Kind(kind), number, time, tool.decode(), edit)

    @property
    def box(self) -> Box:
        """Where the edit lies."""
        values = _EDIT.unpack_from(self.packed)
        return box_at(values[:3], values[3:6])

    @property
    def n_voxels(self) -> int:
        """How many voxels the edit changes."""
        n: int = _EDIT.unpack_from(self.packed)[6]
        return n


def packed(edit: Edit) -> bytes:
    """Return an edit as bytes, compressed."""
    header = _EDIT.pack(
        *edit.start, *edit.changed.shape, edit.after.size, edit.becomes_corrected
    )
    bits = np.packbits(edit.changed.ravel()), np.packbits(edit.was_corrected)
    body = b"".join(part.tobytes() for part in (edit.before, edit.after, *bits))
    compressed: bytes = isal_zlib.compress(body, _LEVEL)
    return header + compressed


def unpacked(record: bytes) -> Edit:
    """Return the edit that `packed` made bytes of."""
    z, y, x, depth, height, width, n, becomes_corrected = _EDIT.unpack_from(record)
    body = isal_zlib.decompress(record[_EDIT.size :])
    n_voxels = depth * height * width
    ends = np.cumsum((n, n, -(-n_voxels // 8)))
    before, after, changed, was_corrected = np.split(
        np.frombuffer(body, np.uint8), ends
    )
    return Edit(
        start=(z, y, x),
        changed=_bits(changed, n_voxels).reshape(depth, height, width),
        before=before,
        after=after,
        was_corrected=_bits(was_corrected, n),
        becomes_corrected=becomes_corrected,
    )


def _bits(packed_bits: NDArray[np.uint8], n: int) -> NDArray[np.bool]:
    return np.unpackbits(packed_bits, count=n).view(np.bool)
