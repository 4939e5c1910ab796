"""A file that only grows: of records that are whole or not there."""

import os
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from napari_meunet.atomic import put, replacing, sync_names, writing
from napari_meunet.errors import MeUNetError

MAGIC = b"meunet journal 1"
"""How the file begins; the number is the version of its format."""

_NAME = MAGIC[:-1]

_FRAME = struct.Struct("<II")
"""Before every record: its length in bytes and its CRC-32."""


class RecordFile:
    """Records, one after the other.

    A process that dies while it appends leaves a torn record at the end, and a machine
    that loses power may leave one anywhere: opening cuts the file off before the first
    record that is not whole. A file that begins otherwise is kept under another name.

    Parameters
    ----------
    path
        Made if it is missing.

    Raises
    ------
    MeUNetError
        If the file cannot be written, or is of another version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._end = len(MAGIC)
        with writing(path.parent):
            _set_aside_if_foreign(path)
            self._file = path.open("ab", buffering=0)
            try:
                self._cut()
            except BaseException:
                self._file.close()
                raise

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Return every record with its place, in the order in which they came."""
        with self._path.open("rb") as file:
            place = len(MAGIC)
            while (payload := _whole(file, place)) is not None:
                yield place, payload
                place += _FRAME.size + len(payload)

    def at(self, places: Iterable[int]) -> Iterator[bytes]:
        """Return the records at places that were given before.

        Raises
        ------
        LookupError
            If there is none, or it is not whole any more.
        """
        with self._path.open("rb") as file:
            for place in places:
                payload = _whole(file, place)
                if payload is None:
                    raise LookupError(f"{self._path} has no whole record at {place}")
                yield payload

    def append(self, payload: bytes) -> int:
        """Write a record and return its place.

        It survives the death of the process at once, that of the machine after `sync`.

        Raises
        ------
        MeUNetError
            If the disk is full; the file is as it was.
        """
        with self._lock, writing(self._path.parent):
            place = self._end
            try:
                self._write(_framed(payload))
            except BaseException:  # Ctrl+C, too
                self._file.truncate(place)
                raise
            self._end = place + _FRAME.size + len(payload)
        return place

    def sync(self) -> None:
        """Return when all records are on the disk.

        Raises
        ------
        MeUNetError
            If the disk fails.
        """
        with writing(self._path.parent):
            os.fsync(self._file.fileno())

    @property
    def closed(self) -> bool:
        """Whether nothing can be appended any more."""
        return self._file.closed

    def close(self) -> None:
        """Sync, and append no more; closing twice is allowed."""
        if not self.closed:
            try:
                self.sync()
            finally:
                self._file.close()

    def _cut(self) -> None:
        """Leave nothing but whole records."""
        if self._path.stat().st_size < len(MAGIC):
            self._file.truncate(0)
            self._write(MAGIC)
            self.sync()
        sync_names(self._path.parent)  # who made it may have died before it did so
        for place, payload in self:
            self._end = place + _FRAME.size + len(payload)
        self._file.truncate(self._end)

    def _write(self, part: bytes) -> None:
        rest = memoryview(part)
        while rest:  # a disk that is nearly full takes less than it is given
            rest = rest[self._file.write(rest) :]


def holds_records(path: Path) -> bool:
    """Tell whether a file is one of records of this format."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def rewrite(path: Path, payloads: Iterable[bytes]) -> None:
    """Put a file of these records in the place of another one, whole or not at all.

    Raises
    ------
    MeUNetError
        If the file cannot be written; the other one is as it was.
    """
    with (
        writing(path.parent),
        replacing(path) as temporary,
        temporary.open("wb") as file,
    ):
        file.write(MAGIC)
        for payload in payloads:
            file.write(_framed(payload))


def _framed(payload: bytes) -> bytes:
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def _whole(file: BinaryIO, place: int) -> bytes | None:
    """Return the record at a place if it is whole; none is empty."""
    file.seek(place)
    frame = file.read(_FRAME.size)
    if len(frame) < _FRAME.size:
        return None
    length, checksum = _FRAME.unpack(frame)
    if length > os.fstat(file.fileno()).st_size:
        return None  # no length at all; so much memory is not asked for
    payload = file.read(length)
    is_whole = len(payload) == length and zlib.crc32(payload) == checksum
    return payload if is_whole and length else None


def _set_aside_if_foreign(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb") as file:
        beginning = file.read(len(MAGIC))
    if MAGIC.startswith(beginning):
        return
    if beginning.startswith(_NAME):
        raise MeUNetError(
            f"{path} must be of format {MAGIC.decode()!r}, got {beginning!r}; open the "
            "labels with a newer version, or move the file away to go on without their "
            "history"
        )
    put(path, path.with_name(f"{path.name}.damaged"))
