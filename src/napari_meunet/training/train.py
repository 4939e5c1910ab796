"""The training loop: stage 1, then stage 2 on the frozen stage 1."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.network.card import Card, NetworkConfig
from napari_meunet.network.cascade import REFINEMENT_FEATURES, Cascade
from napari_meunet.network.checkpoint import Checkpoint, save_checkpoint
from napari_meunet.network.device import choose_device, computes_bf16
from napari_meunet.network.meunet import FEATURES
from napari_meunet.progress import Progress
from napari_meunet.training.allocator import freed_memory_kept
from napari_meunet.training.augmentation import augmented
from napari_meunet.training.losses import segmentation_loss
from napari_meunet.training.patches import PatchSampler, Specimen
from napari_meunet.volume.volume import Volume

CALIBRATION_STEPS = 100
"""Batches over which the final BatchNorm statistics are averaged."""

AVERAGED_STEPS = 50
"""Steps over which the reported loss is averaged, roughly."""


def train(
    pairs: Sequence[tuple[Volume, Volume]],
    config: TrainingConfig,
    card: Card,
    output: Path,
    initial: Checkpoint | None = None,
) -> Iterator[Progress]:
    """Train a cascade and write it to `output` as a checkpoint.

    Parameters
    ----------
    pairs
        Scans and their labels.
    config
        Sizes, steps, seed.
    card
        What the checkpoint shall say of itself, its architecture included.
    output
        A ``.safetensors`` file; written when training ends, and not before.
    initial
        Where to begin instead of random weights; its architecture must be that of
        `card`.

    Yields
    ------
    Progress
        After every step, with the loss averaged over the last steps.

    Raises
    ------
    MeUNetError
        If there is nothing to train on, labels or `initial` do not fit, a stage
        would stay random, or the loss is no longer finite.
    """
    if not pairs:
        raise MeUNetError("training needs at least one scan with labels, got none")
    rng = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    specimens = [
        Specimen.index(image, labels, card.network.n_classes, rng)
        for image, labels in pairs
    ]
    network = _begun(card.network, config, initial)
    trainer = _Trainer(PatchSampler(specimens, config, rng), network, config)
    with freed_memory_kept():
        yield from trainer.run()
    weights = {
        name: tensor.detach().cpu()
        for name, tensor in trainer.network.state_dict().items()
    }
    save_checkpoint(Checkpoint(weights, card), output)


def new_network(n_classes: int, config: TrainingConfig) -> NetworkConfig:
    """Return the architecture that `config` asks for."""
    return NetworkConfig(
        n_classes=n_classes,
        features=FEATURES,
        refinement_features=REFINEMENT_FEATURES,
        fusion=config.fusion,
    )


def _begun(
    network: NetworkConfig, config: TrainingConfig, initial: Checkpoint | None
) -> Cascade:
    """Return the network that training begins from."""
    if initial is None:
        untrained = config.fusion != "none" and not config.stage2_steps
        if untrained or not config.stage1_steps:
            raise MeUNetError(
                "without an initial checkpoint every stage must be trained, got "
                f"{config.stage1_steps} and {config.stage2_steps} steps; give both "
                "stages steps, or a checkpoint to begin from"
            )
        return Cascade(**network.model_dump())
    if initial.card.network != network:
        raise MeUNetError(
            f"the initial checkpoint must have the network {network}, got "
            f"{initial.card.network}; use the same classes and fusion"
        )
    return initial.build()


class _Trainer:
    def __init__(
        self, sampler: PatchSampler, network: Cascade, config: TrainingConfig
    ) -> None:
        self._sampler = sampler
        self._config = config
        self._device = choose_device(config.device)
        self._generator = torch.Generator().manual_seed(config.seed)
        self.network = network.to(self._device)
        self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def run(self) -> Iterator[Progress]:
        """Fit stage 1, freeze it, fit the rest."""
        stage1 = self.network.stage1
        if self._config.stage1_steps:
            yield from self._fit([stage1], self._config.stage1_steps, self._stage1_loss)
        stage1.eval().requires_grad_(requires_grad=False)
        rest = [module for module in self.network.children() if module is not stage1]
        if self._config.stage2_steps:
            yield from self._fit(rest, self._config.stage2_steps, self._stage2_loss)

    def _fit(
        self, modules: list[nn.Module], n_steps: int, loss_of_step: Callable[[], Tensor]
    ) -> Iterator[Progress]:
        fitted = nn.ModuleList(modules).train()
        optimiser = torch.optim.Adam(fitted.parameters(), self._config.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
        stage = "stage 1" if fitted[0] is self.network.stage1 else "stage 2"
        mean = 0.0
        for step in range(1, n_steps + 1):
            optimiser.zero_grad()
            loss = loss_of_step()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            mean += (_finite(loss) - mean) / min(step, AVERAGED_STEPS)
            yield Progress(step, n_steps, "steps", stage, {"loss": mean})
        _calibrate_batchnorm(fitted, loss_of_step)
        fitted.eval()

    def _stage1_loss(self) -> Tensor:
        """Sum the losses of the expanded patch and of the local one at its centre."""
        size, expanded = self._config.patch_size, self._config.expanded_size
        image, labels = self._batch(expanded)
        stage1 = self.network.stage1
        margin = (expanded - size) // 2
        center = slice(margin, margin + size)
        with self._autocast():
            local = stage1(image[:, :, center, center, center])
            loss = segmentation_loss(local, labels[:, center, center, center])
            if expanded > size:
                logits = stage1.expanded_logits(image)
                loss = loss + segmentation_loss(logits, labels[:, ::2, ::2, ::2])
        return loss

    def _stage2_loss(self) -> Tensor:
        image, labels = self._batch(self._config.patch_size)
        with self._autocast():
            with torch.no_grad():
                features1 = self.network.stage1.features(image)
            logits = self.network.refined_logits(image, features1)
            return segmentation_loss(logits, labels)

    def _batch(self, size: int) -> tuple[Tensor, Tensor]:
        """Return augmented images ``(n, 1, z, y, x)`` and labels ``(n, z, y, x)``."""
        patches = [self._sampler.draw(size) for _ in range(self._config.batch_size)]
        images, labels = zip(*patches, strict=True)
        image = torch.from_numpy(np.stack(images)).unsqueeze(1).to(self._device)
        truth = torch.from_numpy(np.stack(labels)).to(self._device)
        image, truth = augmented(image, truth, self._generator)
        return image.contiguous(memory_format=torch.channels_last_3d), truth

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(
            self._device.type, torch.bfloat16, enabled=computes_bf16(self._device)
        )


def _finite(loss: Tensor) -> float:
    value = loss.item()
    if not math.isfinite(value):
        raise MeUNetError(
            f"the loss must stay finite, got {value}; lower --learning-rate or look "
            "for damaged scans"
        )
    return value


def _calibrate_batchnorm(fitted: nn.Module, loss_of_step: Callable[[], Tensor]) -> None:
    """Replace the running statistics by plain averages at the final weights.

    With few patches a step the exponential average is noisy, and it lags behind.
    """
    norms = [m for m in fitted.modules() if isinstance(m, nn.BatchNorm3d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # averages all batches with equal weight
    with torch.no_grad():
        for _ in range(CALIBRATION_STEPS):
            loss_of_step()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
