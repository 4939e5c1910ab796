import numpy as np
import pytest
import tifffile

from napari_meunet.errors import MeUNetError
from napari_meunet.labels.store import LabelStore
from napari_meunet.network.classes import unnamed_classes
from napari_meunet.training.evaluation.pairs import labelled_pairs, paired_labels
from napari_meunet.volume.volume import Volume

PLANES = np.zeros((5, 6, 7), np.uint8)


def write(folder, *names):
    """Write empty volumes; a name that ends in .meunet is a labels folder."""
    folder.mkdir(exist_ok=True)
    for name in names:
        if name.endswith(".meunet"):
            volume = Volume.from_array(PLANES)
            LabelStore.create(folder / name, volume, unnamed_classes(2)).close()
        else:
            tifffile.imwrite(folder / name, PLANES, metadata={"axes": "ZYX"})
    return folder


@pytest.fixture
def truth(tmp_path):
    return write(tmp_path / "truth", "a_labels.tif", "b_labels.tif", "a.tif", "c.tif")


def names(pairs):
    return [(pair.name, pair.truth.name, pair.predicted.name) for pair in pairs]


def test_two_label_maps_are_a_pair_whatever_their_names(tmp_path):
    folder = write(tmp_path / "any", "fly_labels.tif", "other.meunet")
    first, second = folder / "fly_labels.tif", folder / "other.meunet"
    assert names(paired_labels(first, second)) == [("fly", first.name, second.name)]


def test_two_folders_of_slices_are_a_pair(tmp_path):
    for name in ("truth", "predicted"):
        (tmp_path / name).mkdir()
        for z, plane in enumerate(PLANES):
            tifffile.imwrite(tmp_path / name / f"z_{z}.tif", plane)
    found = paired_labels(tmp_path / "truth", tmp_path / "predicted")
    assert names(found) == [("truth", "truth", "predicted")]


@pytest.mark.parametrize(
    "predictions",
    [
        ("a.tif", "b.tif"),
        ("a_labels.tif", "b_labels.tif", "unlabelled.tif"),
        ("a.meunet", "b.meunet", "a.tif", "b.tif", "c.tif"),
        ("a.meunet", "b.meunet", "a_labels.tif", "c_labels.tif"),
        ("a.ome.tif", "b.tiff", ".hidden.tif"),
    ],
)
def test_names_pair_up_without_suffix_and_ending(truth, tmp_path, predictions):
    predicted = write(tmp_path / "predicted", *predictions)
    found = paired_labels(truth, predicted)
    assert [pair.name for pair in found] == ["a", "b"]
    assert [pair.truth.name for pair in found] == ["a_labels.tif", "b_labels.tif"]
    assert [pair.predicted.name for pair in found] == list(predictions[:2])


def test_labels_beside_their_scans_are_the_truth_of_what_was_segmented_there(truth):
    write(truth, "a.meunet", "b.meunet")
    assert names(paired_labels(truth, truth)) == [
        ("a", "a_labels.tif", "a.meunet"),
        ("b", "b_labels.tif", "b.meunet"),
    ]


def test_a_scan_that_was_not_segmented_is_not_compared_with_its_own_labels(truth):
    with pytest.raises(MeUNetError, match="must be different files"):
        paired_labels(truth, truth)
    write(truth, "a.meunet")
    with pytest.raises(MeUNetError, match="got b only in"):
        paired_labels(truth, truth)


def test_a_name_without_a_partner_is_refused(truth, tmp_path):
    predicted = write(tmp_path / "predicted", *(f"{name}.tif" for name in "aefghi"))
    with pytest.raises(MeUNetError, match=r"got b only in .*truth and e, f, g and 2"):
        paired_labels(truth, predicted)


def test_a_folder_goes_with_a_folder(truth, tmp_path):
    single = truth / "a_labels.tif"
    for pair in ((truth, single), (single, truth)):
        with pytest.raises(MeUNetError, match="which is not a folder of label maps"):
            paired_labels(*pair)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MeUNetError, match="empty, which is not a folder"):
        paired_labels(truth, tmp_path / "empty")


def test_two_label_maps_of_one_specimen_are_refused(truth, tmp_path):
    predicted = write(tmp_path / "predicted", "a.tif", "a.ome.tif", "b.tif")
    with pytest.raises(MeUNetError, match=r"got a\.ome\.tif and a\.tif in"):
        paired_labels(truth, predicted)


def test_labels_and_scans_of_a_folder_are_pairs_for_a_model(truth):
    write(truth, "b.tif", "b.meunet")
    assert names(labelled_pairs(truth)) == [
        ("a", "a_labels.tif", "a.tif"),
        ("b", "b_labels.tif", "b.tif"),
    ]


def test_labels_without_a_scan_are_refused(truth, tmp_path):
    with pytest.raises(MeUNetError, match=r"got b_labels\.tif alone"):
        labelled_pairs(truth)
    with pytest.raises(MeUNetError, match="without any"):
        labelled_pairs(write(tmp_path / "scans", "a.tif"))
