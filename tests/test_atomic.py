import errno
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from napari_meunet import atomic
from napari_meunet.atomic import replacing


def test_a_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.suffix == path.suffix
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "old").touch()
    with replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [child.name for child in path.iterdir()] == ["new"]


def test_a_failure_leaves_the_old_folder(tmp_path):
    path = tmp_path / "a.zarr"
    path.mkdir()
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "half").touch()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_replaced_is_kept(tmp_path, monkeypatch):
    """Windows refuses to rename a folder in which a file is open."""
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "old").touch()

    rename = Path.rename

    def locked(self, target):
        if self.name.startswith(".partial"):
            raise PermissionError("open elsewhere")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", locked)
    monkeypatch.setattr(Path, "replace", locked)
    with pytest.raises(PermissionError), replacing(path) as temporary:
        temporary.mkdir()
    assert list(tmp_path.iterdir()) == [path]
    assert [child.name for child in path.iterdir()] == ["old"]


@pytest.mark.skipif(sys.platform == "win32", reason="opens no folders")
@pytest.mark.parametrize("number", [errno.EIO, errno.EINVAL, errno.EACCES])
def test_a_folder_is_kept_whole_when_its_name_cannot_be_synced(
    tmp_path, monkeypatch, number
):
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "old").touch()

    def failing(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    failed = nullcontext()
    if number == errno.EIO:  # the others say that there is nothing to sync
        failed = pytest.raises(OSError, match="error")
    with failed, replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [child.name for child in path.iterdir()] == ["new"]


def test_a_file_takes_the_place_of_a_folder(tmp_path):
    path = tmp_path / "a"
    path.mkdir()
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_others_read_for_a_moment_is_waited_for(tmp_path, monkeypatch):
    """As on Windows, where a virus scanner keeps a file from being replaced."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    refusals = iter([True, True, False])
    replace = Path.replace

    def refused(self, target):
        if next(refusals):
            raise PermissionError
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refused)
    monkeypatch.setattr(atomic, "PATIENCE", 2.0)
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_file_that_may_not_be_replaced_is_an_error(tmp_path, monkeypatch):
    def refused(self, target):
        raise PermissionError

    monkeypatch.setattr(Path, "replace", refused)
    monkeypatch.setattr(atomic, "PATIENCE", 0.1)
    with pytest.raises(PermissionError), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert list(tmp_path.iterdir()) == []
