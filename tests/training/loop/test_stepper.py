import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import nn

from napari_meunet.config import TrainingConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.training.loop.state import TrainingState
from napari_meunet.training.loop.stepper import Stepper, make_fabric
from napari_meunet.training.patches.augmentation import Moved


class Sum(nn.Module):
    """A loss whose gradient is 1, so that fp16's loss scale is what backward sees."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, image, labels, offsets):
        return self.weight.sum() + 0 * (image.sum() + labels.sum())


def stepper_in_fp16(state):
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    fabric = Fabric(
        accelerator="cpu", plugins=MixedPrecision("16-mixed", "cpu", scaler)
    )
    return Stepper(fabric, Sum(), TrainingConfig(device="cpu"), state), scaler


def take(stepper, n_steps):
    for _ in range(n_steps):
        stepper.step(Moved(*torch.zeros(3, 1)), 0.0)


@pytest.mark.parametrize("stopped_at", [1, 2, 3])
def test_the_loss_scale_of_fp16_goes_on(tmp_path, stopped_at):
    n_steps, path = 5, tmp_path / "own.unfinished.pt"
    uninterrupted, scaler = stepper_in_fp16(TrainingState(path, "a"))
    take(uninterrupted, n_steps)
    first, _ = stepper_in_fp16(TrainingState(path, "a"))
    take(first, stopped_at)
    state = TrainingState(path, "a")
    first.store(state)
    state.save()

    second, resumed = stepper_in_fp16(TrainingState.load(path, "a"))
    take(second, n_steps - stopped_at)

    assert scaler.get_scale() == 32.0  # doubled twice in five steps
    assert resumed.state_dict() == scaler.state_dict()


def test_processes_that_do_not_know_of_each_other_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(MeUNetError, match=r"got 4 processes for 1 device\(s\)"):
        make_fabric(TrainingConfig(device="cpu"))
