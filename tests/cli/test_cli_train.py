import numpy as np

from napari_meunet.cli.train import spacing_range
from napari_meunet.volume.volume import Volume


def test_the_card_says_the_finest_and_the_coarsest_spacing_of_training():
    planes = np.zeros((1, 1, 1), np.uint8)
    spacings = [(1.0, 9.0, 3.0), (5.0, 8.0, 3.0), (2.0, 7.0, 4.0)]
    scans = [Volume.from_array(planes).with_spacing(zyx) for zyx in spacings]
    unknown = Volume.from_array(planes)
    found = spacing_range([*scans, unknown])
    assert (found.finest, found.coarsest) == ((1.0, 7.0, 3.0), (5.0, 9.0, 4.0))
    assert spacing_range([unknown]) is None
