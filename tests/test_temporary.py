import shutil
import tempfile
from collections import namedtuple

import pytest

from napari_meunet import temporary
from napari_meunet.temporary import folder_with_room

Usage = namedtuple("Usage", "free")


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Return where three folders lie: one beside a scan, one on disk, the system's."""
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    free = {"beside": 20, "disk": 50, "system": 90}
    for name in free:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(free[path.name]))
    monkeypatch.setattr(temporary, "_ON_DISK", tmp_path / "disk")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "system"))
    return tmp_path


@pytest.mark.parametrize(
    ("n_bytes", "name"),
    [(20, "beside"), (21, "disk"), (51, "system"), (1000, "system")],
)
def test_the_first_folder_with_room_is_taken(folders, n_bytes, name):
    assert folder_with_room(n_bytes, folders / "beside") == folders / name


def test_a_folder_named_by_the_user_is_the_only_one(folders, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(folders / "system"))
    assert folder_with_room(1, folders / "beside") == folders / "system"


def test_a_folder_that_is_not_there_is_left_out(folders):
    assert folder_with_room(1, folders / "none") == folders / "disk"
