"""How much memory a training may take."""

import torch

from napari_meunet.config import TrainingConfig
from napari_meunet.network.device import free_on_cuda
from napari_meunet.network.free_memory import free_on_host, share_of
from napari_meunet.training.memory.plan import Budget


def memory_budget(
    config: TrainingConfig, device: torch.device, itemsize: int
) -> Budget:
    """Return what `config` allows, or a share of what is free on the device now.

    Parameters
    ----------
    config
        Its `memory`, and how many processes share the device.
    device
        That trains.
    itemsize
        Bytes of a number in the convolutions.
    """
    if config.memory:
        return Budget(str(device), config.memory, itemsize)
    is_cuda = device.type == "cuda"
    free = free_on_cuda(device) if is_cuda else free_on_host() // config.n_devices
    return Budget(str(device), int(share_of(str(device)) * free), itemsize)
