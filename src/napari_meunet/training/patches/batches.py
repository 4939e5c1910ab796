"""Batches of training patches: a pure function of the seed and the step."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from napari_meunet.training.patches.sampler import Sampler

T = TypeVar("T")

READ_AHEAD = 4
"""Batches that are read while the device computes."""


@dataclass(frozen=True)
class Batch:
    """Patches as they were cut out, before augmentation.

    Attributes
    ----------
    images
        ``(n, 1, z, y, x)`` float32, as the network sees them.
    labels
        ``(n, z, y, x)`` uint8; several along each axis of a voxel if they are finer.
    seed
        For the augmentation.
    """

    images: Tensor
    labels: Tensor
    seed: int


@dataclass(frozen=True)
class Batches:
    """Draws batches that depend on nothing but their place in the training.

    Attributes
    ----------
    sampler
        Cuts out the patches.
    n
        Patches a batch.
    key
        What the randomness hangs on: the seed, the phase, the process.
    process, n_processes
        Of those that train together, whose patches take turns: which one, from 0.
    """

    sampler: Sampler
    n: int
    key: tuple[int, ...]
    process: int = 0
    n_processes: int = 1

    def draw(self, step: int, size: int) -> Batch:
        """Return the batch of a step, cubes of edge `size`."""
        rng = np.random.default_rng((*self.key, step))
        first = (step * self.n_processes + self.process) * self.n
        patches = [self.sampler.draw(size, rng, first + i) for i in range(self.n)]
        images, labels = zip(*patches, strict=True)
        return Batch(
            torch.from_numpy(np.stack(images)).unsqueeze(1),
            torch.from_numpy(np.stack(labels)),
            int(rng.integers(2**62)),
        )


def read_ahead(read: Callable[[int], T], steps: range) -> Iterator[T]:
    """Yield ``read(step)`` for every step, some of them read in advance by a thread."""
    with ThreadPoolExecutor(1, "patches") as pool:
        pending: deque[Future[T]] = deque()
        try:
            for step in steps:
                pending.append(pool.submit(read, step))
                if len(pending) > READ_AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
