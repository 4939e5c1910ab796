"""BatchNorm statistics measured at the weights of the moment.

The running averages lag behind the weights, and with few patches a step they are noisy:
an 8-phantom training that reached Dice 0.79 and 0.78 with measured statistics had 0.05
and 0.62 with the running ones at the same step.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from napari_meunet.network.stage import norms


@contextmanager
def statistics_measured(module: nn.Module) -> Iterator[None]:
    """Average the statistics of the batches that pass in the block, all weighing alike.

    Only where batch normalisations gather statistics; what they knew is forgotten.
    """
    gathering = norms(module)
    momenta = [norm.momentum for norm in gathering]
    for norm in gathering:
        norm.reset_running_stats()
        norm.momentum = None  # averages all batches with equal weight
    try:
        yield
    finally:
        for norm, momentum in zip(gathering, momenta, strict=True):
            norm.momentum = momentum
