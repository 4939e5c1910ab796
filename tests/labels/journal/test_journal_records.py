"""Records that are whole or not there."""

import errno

import pytest

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.journal.records import MAGIC, RecordFile, rewrite

RECORDS = [b"one", b"\x00" * 40, bytes(range(256)) * 5]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal"


def written(path, records=RECORDS):
    file = RecordFile(path)
    places = [file.append(record) for record in records]
    file.close()
    return places


def read(path):
    file = RecordFile(path)
    file.close()
    return [record for _, record in file]


def test_records_come_back_in_order_and_by_their_places(path):
    places = written(path)
    file = RecordFile(path)
    assert list(file) == list(zip(places, RECORDS, strict=True))
    assert list(file.at(reversed(places))) == RECORDS[::-1]
    with pytest.raises(LookupError, match="no whole record at 17"):
        next(file.at([17]))
    file.close()
    file.close()


def test_a_file_that_ends_anywhere_keeps_what_is_whole(path):
    places = written(path)
    everything = path.read_bytes()
    for length in range(len(everything)):
        path.write_bytes(everything[:length])
        n_whole = sum(end <= length for end in (*places[1:], len(everything)))
        assert read(path) == RECORDS[:n_whole]
        written(path, [b"next"])
        assert read(path) == [*RECORDS[:n_whole], b"next"]


def test_a_damaged_byte_ends_the_file_there(path):
    places = written(path)
    everything = path.read_bytes()
    for place in range(len(MAGIC), len(everything)):
        damaged = bytearray(everything)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        assert read(path) == RECORDS[: sum(end <= place for end in places[1:])]


def test_a_length_beyond_the_file_asks_for_no_memory(path):
    written(path, [])
    path.write_bytes(MAGIC + b"\xff" * 100)
    assert read(path) == []


def test_a_foreign_file_is_set_aside(path):
    path.write_bytes(b"a letter to my aunt")
    written(path)
    assert read(path) == RECORDS
    assert path.with_name("journal.damaged").read_bytes() == b"a letter to my aunt"


def test_a_full_disk_leaves_the_file_as_it_was(path, monkeypatch):
    written(path)
    before = path.read_bytes()
    file = RecordFile(path)
    disk = file._file

    class FullDisk:
        def write(self, part):
            if len(part) > 5:
                return disk.write(part[:5])
            raise OSError(errno.ENOSPC, "no space left on device")

        def truncate(self, size):
            return disk.truncate(size)

    monkeypatch.setattr(file, "_file", FullDisk())
    with pytest.raises(MeUNetError, match="no space left"):
        file.append(b"does not fit")
    monkeypatch.undo()
    assert path.read_bytes() == before
    file.append(b"fits")
    file.close()
    assert read(path) == [*RECORDS, b"fits"]


def test_rewriting_that_fails_leaves_the_old_file(path):
    written(path)

    def failing():
        yield b"new"
        raise OSError(errno.ENOSPC, "no space left on device")

    with pytest.raises(MeUNetError, match="no space left"):
        rewrite(path, failing())
    assert read(path) == RECORDS
    rewrite(path, [b"new"])
    assert read(path) == [b"new"]
    assert [file.name for file in path.parent.iterdir()] == ["journal"]


def test_a_file_of_another_version_is_refused_and_stays(path):
    path.write_bytes(b"meunet journal 2 and more")
    with pytest.raises(MeUNetError, match="newer version"):
        RecordFile(path)
    assert path.read_bytes() == b"meunet journal 2 and more"
    assert [file.name for file in path.parent.iterdir()] == ["journal"]
