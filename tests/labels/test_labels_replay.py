"""Corrections of two people come together."""

import shutil

import numpy as np
import pytest

from napari_meunet.config import LabelClass
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.box import box_at
from napari_meunet.labels.journal.journal import Journal
from napari_meunet.labels.replay import corrections_of
from napari_meunet.labels.store import LabelStore
from napari_meunet.volume.volume import Volume

SHAPE = (40, 36, 35)
EVERYTHING = box_at((0, 0, 0), SHAPE)


@pytest.fixture
def two(tmp_path):
    """Return the labels of two people, as the same model has left them."""
    classes = tuple(LabelClass(value=i, name=str(i), color="#ff0000") for i in range(5))
    volume = Volume.from_array(np.zeros(SHAPE, np.uint8))
    LabelStore.create(tmp_path / "mine.meunet", volume, classes).close()
    with LabelStore.open(tmp_path / "mine.meunet") as mine:
        mine.write((0, 0, 0), np.full(SHAPE, 2, np.uint8))
    shutil.copytree(tmp_path / "mine.meunet", tmp_path / "theirs.meunet")
    with (
        LabelStore.open(tmp_path / "mine.meunet") as mine,
        LabelStore.open(tmp_path / "theirs.meunet") as theirs,
    ):
        yield mine, theirs


def taken_over(two, source, **options):
    """Take over, and return the conflicts."""
    mine, theirs = two
    theirs.close()  # it can be read on
    with corrections_of(source, mine, **options) as tool:
        for _ in mine.use(tool, EVERYTHING):
            pass
    assert not list(mine.folder.parent.glob(".replay-*"))
    return dict(tool.conflicts)


@pytest.fixture(params=["folder", "journal"])
def source(request, two):
    """Return where their corrections are read from."""
    theirs = two[1].folder
    return theirs if request.param == "folder" else theirs / "journal"


def test_what_only_one_has_set_comes_together(two, source):
    mine, theirs = two
    mine.editable()[3, :5, :5] = 1
    theirs.editable()[3, 5:9, :5] = 3
    theirs.editable()[30, 0, 0] = 0
    assert taken_over(two, source) == {}
    expected = np.full(SHAPE, 2, np.uint8)
    expected[3, :5, :5], expected[3, 5:9, :5], expected[30, 0, 0] = 1, 3, 0
    np.testing.assert_array_equal(mine.labels, expected)
    np.testing.assert_array_equal(mine.corrected.read(EVERYTHING), expected != 2)
    assert [s.tool for s in mine.journal.history.done] == ["paint", "take over"]
    mine.journal.undo()
    expected[expected != 1] = 2
    np.testing.assert_array_equal(mine.labels, expected)


@pytest.mark.parametrize("theirs_win", [False, True])
def test_where_both_differ_it_is_counted_by_places(two, source, theirs_win):
    mine, theirs = two
    mine.editable()[31:33, 3, 30:34] = 1
    theirs.editable()[31:34, 3, 30:34] = 3
    theirs.editable()[32, 3, 30] = 1  # as mine
    conflicts = taken_over(two, source, theirs_win=theirs_win)
    assert conflicts == {(0, 0, 0): 2, (0, 0, 1): 2, (1, 0, 0): 1, (1, 0, 1): 2}
    expected = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [3, 3, 3, 3]])
    if theirs_win:
        expected = np.array([[3, 3, 3, 3], [1, 3, 3, 3], [3, 3, 3, 3]])
    np.testing.assert_array_equal(mine.labels[31:34, 3, 30:34], expected)


def test_what_they_have_undone_does_not_count(two, source):
    mine, theirs = two
    labels = theirs.editable()
    for value in (1, 3, 4):
        labels[7, 7, 7] = value
        labels[value, 0, 0] = 0
    for _ in range(3):
        theirs.journal.undo()  # 4 and its other voxel, and that of 3
    theirs.journal.redo()
    theirs.flush()
    assert theirs.labels[7, 7, 7] == 3
    assert taken_over(two, source) == {}
    np.testing.assert_array_equal(mine.labels, theirs.labels)
    np.testing.assert_array_equal(
        mine.corrected.read(EVERYTHING), theirs.corrected.read(EVERYTHING)
    )


def test_a_voxel_that_they_have_confirmed_is_mine_too(two):
    mine, theirs = two
    theirs.editable()[1, 1, 1] = 3
    mine.write((1, 1, 1), np.full((1, 1, 1), 3, np.uint8))  # now the model says so
    taken_over(two, theirs.folder)
    mine.write((0, 0, 0), np.zeros(SHAPE, np.uint8))
    assert np.argwhere(mine.labels).tolist() == [[1, 1, 1]]


def test_taking_over_twice_changes_nothing(two, source):
    mine, theirs = two
    theirs.editable()[1:3, 1:9, 1] = 3
    taken_over(two, source)
    n = mine.journal.n_changes
    assert taken_over(two, source) == {}
    assert mine.journal.n_changes == n


def test_other_scans_other_classes_and_other_files_are_refused(two, tmp_path):
    mine, theirs = two
    other = Volume.from_array(np.ones(SHAPE, np.uint8))
    LabelStore.create(tmp_path / "other.meunet", other, theirs.classes).close()
    same = Volume.from_array(np.zeros(SHAPE, np.uint8))
    LabelStore.create(tmp_path / "few.meunet", same, theirs.classes[:2]).close()
    (tmp_path / "file").write_bytes(b"no journal")
    for name, words in (
        ("other.meunet", "same scan"),
        ("few.meunet", "same classes"),
        ("nothing", "neither"),
        ("file", "journal"),
    ):
        with (
            pytest.raises(MeUNetError, match=words),
            corrections_of(tmp_path / name, mine),
        ):
            pass
    assert (tmp_path / "file").read_bytes() == b"no journal"


def test_what_a_tool_of_theirs_has_left_half_done_does_not_count(two, tmp_path):
    mine, theirs = two
    theirs.editable()[5, 5, 5] = 1
    place = box_at((7, 7, 7), (1, 1, 1))
    with theirs.journal.whole_stroke("grow"):
        changed, block = np.ones((1, 1, 1), bool), np.full((1, 1, 1), 4, np.uint8)
        edit = theirs._voxels.edit(place, changed, block)
        theirs.journal.record(edit, "grow")
        for source in (tmp_path / "died.meunet", tmp_path / "died.meunet" / "journal"):
            shutil.copytree(theirs.folder, tmp_path / "died.meunet", dirs_exist_ok=True)
            with corrections_of(source, mine) as tool:
                theirs_set = tool.corrected.read(EVERYTHING)
            assert np.argwhere(theirs_set).tolist() == [[5, 5, 5]]


def test_labels_that_somebody_has_open_are_refused(two):
    mine, theirs = two
    with (
        pytest.raises(MeUNetError, match="one place at a time"),
        corrections_of(theirs.folder, mine),
    ):
        pass


def test_a_journal_of_another_scan_is_refused(two, tmp_path):
    mine, _ = two
    volume = Volume.from_array(np.ones(SHAPE, np.uint8))
    with LabelStore.create(tmp_path / "other.meunet", volume, mine.classes) as other:
        other.editable()[3, 3, 3] = 1
        with (
            pytest.raises(MeUNetError, match="must be of the same scan"),
            corrections_of(other.folder / "journal", mine),
        ):
            pass


def test_a_journal_that_knows_no_scan_is_refused_if_it_is_of_a_larger_one(
    two, tmp_path, monkeypatch
):
    mine, _ = two
    monkeypatch.setattr(Journal, "_name_scan", lambda self: None)  # of before
    volume = Volume.from_array(np.zeros((90, 90, 90), np.uint8))
    with LabelStore.create(tmp_path / "large.meunet", volume, ()) as large:
        large.editable()[80, 80, 80] = 1
        with (
            pytest.raises(MeUNetError, match="strokes beyond it"),
            corrections_of(large.folder / "journal", mine),
        ):
            pass
