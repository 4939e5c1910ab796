import pytest

from benchmarks.accuracy.memory import MEASURED, chosen, rows, title
from benchmarks.accuracy.networks import NETWORKS
from napari_meunet.config import TrainingConfig

CONFIG = TrainingConfig(patch_size=32, expanded_size=32, batch_size=1, device="cpu")


@pytest.mark.parametrize("name", MEASURED)
def test_every_network_that_is_measured_is_known(name):
    network, config = chosen(name, CONFIG)
    assert network is NETWORKS[name.removesuffix("-twice")]
    assert (config.memory is not None) == name.endswith("-twice")
    assert network.title in title(name)


def test_the_reference_is_one_and_the_others_are_parts_of_it():
    table = rows({"post-twice": 2**30, "dynunet": 2**32})
    assert table[-2:] == [
        "| ours, post-concatenation, stages computed twice | 1.00 | 0.25 |",
        "| DynUNet, as nnU-Net | 4.00 | 1.00 |",
    ]
