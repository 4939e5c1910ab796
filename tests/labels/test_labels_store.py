"""The store: what it creates, refuses, remembers and protects."""

import errno
import json
import os
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.manifest import Manifest
from napari_meunet.labels.store import LabelStore
from napari_meunet.labels.temporary import temporary_labels
from napari_meunet.volume.volume import Spacing, Volume

EVERYTHING = (slice(0, 5), slice(0, 7), slice(0, 19))
Usage = namedtuple("Usage", "free")


def only(monkeypatch, n_bytes):
    """Let the disk have `n_bytes` free."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(n_bytes))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "scan.meunet"


def test_a_new_folder_is_complete(store, scan, classes):
    assert store.shape == scan.shape
    assert store.spacing == scan.spacing
    assert store.classes == classes
    assert not store.labels.any()
    assert not store.corrected.read(EVERYTHING).any()
    assert store.manifest.scan.name == "array"
    assert store.manifest.run is None
    assert [path.name for path in store.folder.parent.iterdir()] == ["scan.meunet"]


def test_everything_is_there_when_opened_again(folder, scan, classes):
    with LabelStore.create(folder, scan, classes) as store:
        store.write((1, 2, 3), np.full((2, 3, 4), 2, np.uint8))
        store.editable()[0, 0, :3] = 1
        store.begin_run("run", {"checkpoint": "fly", "config": {"halo": 96}})
        store.mark_finished("all", 3)
    with LabelStore.open(folder, writable=False) as again:
        assert again.labels.sum() == 2 * 24 + 3
        assert again.corrected.read(EVERYTHING).sum() == 3
        assert again.finished_planes("all") == 3
        assert again.manifest.run.description["config"] == {"halo": 96}
        assert (again.spacing, again.classes) == (scan.spacing, classes)
    np.testing.assert_array_equal(tifffile.imread(folder / "labels.tif"), again.labels)


def test_a_scan_without_spacing_has_none(folder, classes):
    with LabelStore.create(
        folder, Volume.from_array(np.zeros((2, 3, 4))), classes
    ) as store:
        assert store.spacing is None


def test_a_folder_is_never_created_over_another(folder, store, scan, classes):
    with pytest.raises(MeUNetError, match="must not exist yet"):
        LabelStore.create(folder, scan, classes)
    assert not store.labels.any()


def test_a_folder_that_could_not_be_completed_is_not_there(
    folder, scan, classes, monkeypatch
):
    def crash(self, folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(Manifest, "write", crash)
    with pytest.raises(KeyboardInterrupt):
        LabelStore.create(folder, scan, classes)
    assert list(folder.parent.iterdir()) == []


def test_a_missing_or_unwritable_place_is_one_clear_error(tmp_path, scan, classes):
    with pytest.raises(MeUNetError, match="must be writable, got No such file"):
        LabelStore.create(tmp_path / "missing" / "scan.meunet", scan, classes)
    (tmp_path / "file").write_text("")
    with pytest.raises(MeUNetError, match="must be writable"):
        LabelStore.create(tmp_path / "file" / "scan.meunet", scan, classes)


@pytest.fixture
def somebody(tmp_path):
    """Be a user whom permissions bind; root is not."""
    if os.name == "nt":
        pytest.skip("Windows has no permission bits")
    if os.geteuid() != 0:
        yield
        return
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_a_read_only_folder_can_be_read_but_not_written(folder, scan, classes, request):
    LabelStore.create(folder, scan, classes).close()
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    request.getfixturevalue("somebody")
    with pytest.raises(MeUNetError, match="must be writable, got Permission denied"):
        LabelStore.open(folder)
    with LabelStore.open(folder, writable=False) as store:
        assert store.labels.shape == (5, 7, 19)


def test_a_full_disk_is_found_before_anything_is_written(
    folder, scan, classes, monkeypatch
):
    only(monkeypatch, n_bytes=100)
    with pytest.raises(MeUNetError, match=r"0\.067.* GB free .* got 1e-07 GB"):
        LabelStore.create(folder, scan, classes)
    assert list(folder.parent.iterdir()) == []


def test_a_disk_that_fills_up_during_creation_leaves_nothing_behind(folder, classes):
    resource = pytest.importorskip("resource")
    scan = Volume.from_array(np.broadcast_to(np.uint8(0), (64, 256, 256)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))
    try:
        with pytest.raises(MeUNetError, match="must be writable, got File too large"):
            LabelStore.create(folder, scan, classes)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(folder.parent.iterdir()) == []


def test_writing_into_a_hole_on_a_full_disk_is_refused(tmp_path, classes, monkeypatch):
    big = Volume.from_array(np.broadcast_to(np.uint8(0), (300, 1000, 1000)))
    with LabelStore.create(tmp_path / "big.meunet", big, classes) as store:
        painted = store.editable()
        only(monkeypatch, n_bytes=100)
        with pytest.raises(MeUNetError, match="make room"):
            store.write((0, 0, 0), np.ones((1, 10, 10), np.uint8))
        with pytest.raises(MeUNetError, match="make room"):
            painted[0, 0, 0] = 1
        assert not store.labels[0].any()


def test_without_holes_a_full_disk_does_not_matter(store, monkeypatch):
    store.write((0, 0, 0), np.ones(store.shape, np.uint8))
    store.editable()[:] = 2
    store.flush()
    only(monkeypatch, n_bytes=0)
    store.editable()[0] = 1
    assert (store.labels[0] == 1).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"format": 2, "future": true}', "format 1, got 2; update napari-meunet"),
        ('{"format": 1}', "is damaged.*scan.*the labels are untouched"),
    ],
)
def test_a_manifest_that_cannot_be_read_stops_nothing_else(store, text, message):
    store.editable()[0] = 1
    store.close()
    path = store.folder / "manifest.json"
    good = path.read_text()
    path.write_text(text)
    with pytest.raises(MeUNetError, match=message):
        LabelStore.open(store.folder)
    path.write_text(good)
    with LabelStore.open(store.folder) as again:  # the lock was not kept
        assert (again.labels[0] == 1).all()


def test_a_folder_without_a_manifest_is_no_labels_folder(tmp_path):
    with pytest.raises(MeUNetError, match="must be a labels folder"):
        LabelStore.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_damaged_labels_give_the_lock_back(store):
    store.close()
    tiff = store.folder / "labels.tif"
    tiff.rename(store.folder / "kept.tif")
    with pytest.raises(MeUNetError, match="restore the file"):
        LabelStore.open(store.folder)
    (store.folder / "kept.tif").rename(tiff)
    LabelStore.open(store.folder).close()


def test_open_or_create_creates_then_opens(folder, scan, classes):
    with LabelStore.open_or_create(folder, scan, classes) as store:
        store.editable()[0] = 1
    with LabelStore.open_or_create(folder, scan, classes) as store:
        assert (store.labels[0] == 1).all()


def test_new_names_of_the_same_classes_are_taken_over(folder, scan, classes):
    LabelStore.create(folder, scan, classes).close()
    renamed = tuple(c.model_copy(update={"name": f"my {c.name}"}) for c in classes)
    LabelStore.open_or_create(folder, scan, renamed).close()
    with LabelStore.open(folder) as store:
        assert store.classes == renamed


def test_a_spacing_that_a_person_gives_later_is_taken_over(folder, scan, classes):
    LabelStore.create(folder, scan.with_spacing((1, 1, 1)), classes).close()
    LabelStore.open_or_create(folder, scan.with_spacing((2, 3, 4)), classes).close()
    with LabelStore.open(folder) as store:
        assert store.spacing == Spacing((2.0, 3.0, 4.0), "given by the user")
    with tifffile.TiffFile(folder / "labels.tif") as tif:
        assert 'PhysicalSizeZ="2"' in tif.ome_metadata
    for read in (None, Spacing((9, 9, 9), "ImageJ TIFF")):
        again = Volume.from_array(scan.planes, read)
        with LabelStore.open_or_create(folder, again, classes) as store:
            assert store.spacing.zyx == (2, 3, 4)


def test_other_classes_are_refused(folder, scan, classes):
    LabelStore.create(folder, scan, classes).close()
    with pytest.raises(MeUNetError, match=r"\[0, 1, 2\].*\[0, 1\]; choose"):
        LabelStore.open_or_create(folder, scan, classes[:2])
    LabelStore.open(folder).close()


@pytest.mark.parametrize("shape", [(5, 7, 19), (5, 7, 18)])
def test_labels_of_another_scan_are_refused(folder, scan, classes, shape):
    LabelStore.create(folder, scan, classes).close()
    other = Volume.from_array(np.full(shape, 9, np.uint8))
    with pytest.raises(MeUNetError, match=r"labels of array with shape \(5, 7, 19\)"):
        LabelStore.open_or_create(folder, other, classes)
    LabelStore.open(folder).close()


def test_a_run_is_taken_up_and_another_starts_anew(folder, scan, classes):
    with LabelStore.create(folder, scan, classes) as store:
        assert store.finished_planes("left") == 0
        with pytest.raises(ValueError, match="begin_run must come before"):
            store.mark_finished("left", 1)
        store.begin_run("a", {"checkpoint": "fly"})
        store.mark_finished("left", 4)
        store.mark_finished("right", 2)
        store.mark_finished("left", 5)
    with LabelStore.open(folder) as store:
        store.begin_run("a", {"checkpoint": "fly"})
        assert store.finished_planes("left") == 5
        assert store.finished_planes("right") == 2
        assert store.finished_planes("middle") == 0
        store.begin_run("b", {"checkpoint": "mouse"})
        assert store.finished_planes("left") == 0
    text = json.loads((folder / "manifest.json").read_text())
    assert text["run"] == {
        "key": "b",
        "description": {"checkpoint": "mouse"},
        "finished": {},
    }


def test_a_run_that_is_forgotten_starts_anew_and_changes_no_voxel(store):
    store.editable()[0, 0, 0] = 2
    store.begin_run("a", {"checkpoint": "fly"})
    store.mark_finished("left", 5)
    store.forget_run()
    assert store.run_description == {}
    store.begin_run("a", {"checkpoint": "fly"})
    assert store.finished_planes("left") == 0
    assert store.labels[0, 0, 0] == 2
    assert store.corrected.read(EVERYTHING).sum() == 1


@pytest.mark.parametrize("voxel", [(0, 0, 0), (4, 6, 18), (2, 3, 8)])
def test_one_corrected_voxel_is_a_correction(store, voxel):
    assert not store.has_corrections
    store.editable()[voxel] = 1
    assert store.has_corrections
    store.write((0, 0, 0), np.zeros(store.shape, np.uint8), overwrite_corrected=True)
    assert not store.has_corrections


def test_the_model_never_touches_corrected_voxels(store):
    labels = store.editable()
    labels[1:3, 2:5, 6:11] = 1
    labels[1, 2, 6] = 0  # a person's background is as good as any label
    kept = store.labels.copy()
    mine = store.corrected.read(EVERYTHING)
    store.write((0, 0, 0), np.full(store.shape, 2, np.uint8))
    np.testing.assert_array_equal(store.labels, np.where(mine, kept, 2))
    np.testing.assert_array_equal(store.corrected.read(EVERYTHING), mine)


def test_the_model_may_be_told_to_overwrite(store):
    labels = store.editable()
    labels[1:3, :, :] = 1
    block = np.full((1, 7, 10), 2, np.uint8)
    store.write((1, 0, 0), block, overwrite_corrected=True)
    assert (store.labels[1, :, :10] == 2).all()
    mine = store.corrected.read(EVERYTHING)
    assert not mine[1, :, :10].any()
    assert mine[1, :, 10:].all()
    assert mine[2].all()
    # an undo of what the model has overwritten is a person's edit again
    labels[1:3] = np.zeros((2, 7, 19), np.uint8)
    assert store.corrected.read(EVERYTHING)[1:3].all()


def test_an_undo_of_what_the_model_has_overwritten_alike_is_a_persons_edit(store):
    labels = store.editable()
    labels[1:3] = np.ones((2, 7, 19), np.uint8)
    store.write((0, 0, 0), np.ones(store.shape, np.uint8), overwrite_corrected=True)
    labels[1:3] = np.zeros((2, 7, 19), np.uint8)
    assert not store.labels[1:3].any()
    mine = store.corrected.read(EVERYTHING)
    assert mine[1:3].all()
    assert mine.sum() == 2 * 7 * 19


def test_a_lock_is_given_back_where_its_owner_cannot_be_noted(store, monkeypatch):
    store.close()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(MeUNetError, match="No space left") as error:
            LabelStore.open(store.folder)
    with LabelStore.open(store.folder):
        pass
    del error


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_temporary_labels_are_not_mapped_any_more(scan, tmp_path):
    """Windows would not remove them."""
    maps = Path("/proc/self/maps")
    with temporary_labels(scan, (), tmp_path) as store:
        assert str(tmp_path) in maps.read_text()
    assert str(tmp_path) not in maps.read_text()
    assert not store.writable
    assert list(tmp_path.iterdir()) == []


def test_a_block_must_be_uint8_and_inside(store):
    for start, block in (
        ((0, 0, 0), np.zeros((1, 1, 1), np.int64)),
        ((4, 0, 0), np.zeros((2, 1, 1), np.uint8)),
        ((0, -1, 0), np.zeros((1, 1, 1), np.uint8)),
    ):
        with pytest.raises(ValueError, match="block must be uint8 and lie within"):
            store.write(start, block)


def test_a_closed_or_read_only_store_refuses_to_write(store):
    labels = store.editable()
    store.begin_run("a", {})
    assert store.writable
    store.close()
    store.close()
    with LabelStore.open(store.folder, writable=False) as reader:
        for closed in (store, reader):
            assert not closed.writable
            with pytest.raises(MeUNetError, match="open for writing"):
                closed.write((0, 0, 0), np.zeros((1, 1, 1), np.uint8))
            with pytest.raises(MeUNetError, match="open for writing"):
                closed.editable()
            with pytest.raises(MeUNetError, match="open for writing"):
                closed.begin_run("b", {})
            with pytest.raises(MeUNetError, match="open for writing"):
                closed.mark_finished("left", 1)
    with pytest.raises(MeUNetError, match="open for writing"):
        labels[0] = 1
    assert not labels[0].any()


def test_spacing_origin_is_kept(folder, classes):
    scan = Volume.from_array(np.zeros((2, 3, 4)), Spacing((1, 2, 3), "ImageJ TIFF"))
    with LabelStore.create(folder, scan, classes) as store:
        assert store.spacing == Spacing((1.0, 2.0, 3.0), "ImageJ TIFF")
