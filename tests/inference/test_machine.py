"""Looking at this machine."""

import pytest
import torch

from napari_meunet.config import SegmentationConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.inference import machine as room
from napari_meunet.inference.machine import inspect_machine, measured_rate
from napari_meunet.network.cascade import Cascade


@pytest.fixture(autouse=True)
def no_rate(monkeypatch):
    monkeypatch.setattr(room, "measured_rate", lambda device, precision: 1e11)


def test_a_forecast_leaves_random_numbers_to_others(monkeypatch):
    class Meanwhile(Cascade):
        """Built while another thread draws a number."""

        def __init__(self, **network):
            super().__init__(**network)
            torch.rand(1, device="cpu")

    monkeypatch.setattr(room, "Cascade", Meanwhile)
    monkeypatch.setattr(room, "FEATURES", (2, 2, 2, 2, 2))
    torch.manual_seed(3)
    torch.rand(1)
    drawn = torch.get_rng_state()
    torch.manual_seed(3)
    assert measured_rate.__wrapped__(torch.device("cpu"), "fp32") > 0
    assert torch.equal(torch.get_rng_state(), drawn)


def test_the_processor_shares_its_memory():
    machine = inspect_machine(SegmentationConfig(device="cpu"))
    assert machine.device == "cpu"
    assert machine.shares_memory
    assert 0 < machine.host_free == machine.device_free
    assert str(machine).startswith("cpu (")


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "fp32")])
def test_bf16_is_chosen_where_the_processor_computes_it(monkeypatch, native, precision):
    monkeypatch.setattr(room, "computes_bf16", lambda device: native)
    assert inspect_machine(SegmentationConfig(device="cpu")).precision == precision


def test_the_precision_asked_for_is_taken():
    for precision in ("fp32", "bf16", "fp16"):
        config = SegmentationConfig(device="cpu", precision=precision)
        assert inspect_machine(config).precision == precision


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_convolutions_of_this_processor_are_sound(precision):
    error = room.convolution_error(torch.device("cpu"), precision)
    assert 0 < error < room.TOLERANCE[precision]


def broken_in(*precisions):
    return lambda device, precision: 0.5 if precision in precisions else 0.0


def test_a_broken_precision_is_passed_over(monkeypatch):
    monkeypatch.setattr(room, "computes_bf16", lambda device: True)
    monkeypatch.setattr(room, "convolution_error", broken_in("bf16"))
    assert inspect_machine(SegmentationConfig(device="cpu")).precision == "fp32"


def test_a_broken_precision_that_is_asked_for_is_refused(monkeypatch):
    monkeypatch.setattr(room, "convolution_error", broken_in("bf16"))
    config = SegmentationConfig(device="cpu", precision="bf16")
    with pytest.raises(MeUNetError, match=r"cpu must be right, got .* 0\.5 in bf16"):
        inspect_machine(config)


def test_a_convolution_that_gives_nan_is_broken(monkeypatch):
    monkeypatch.setattr(room, "convolution_error", lambda *_: float("nan"))
    with pytest.raises(MeUNetError, match="must be right"):
        inspect_machine(SegmentationConfig(device="cpu"))


def test_a_device_that_is_not_there_is_refused():
    if torch.cuda.device_count() > 7:
        pytest.skip("this machine has more than seven CUDA devices")
    with pytest.raises(MeUNetError, match="cuda:7"):
        inspect_machine(SegmentationConfig(device="cuda:7"))


@pytest.mark.parametrize("probe", ["convolution_error", "measured_rate"])
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB."),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be ..."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublas"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
    ],
    ids=["allocator", "context", "cublas", "cudnn"],
)
def test_a_device_too_full_to_be_tried_out_is_refused(monkeypatch, probe, error):
    monkeypatch.setattr(room, probe, raising(error))
    with pytest.raises(MeUNetError, match="cpu must have memory free") as refusal:
        inspect_machine(SegmentationConfig(device="cpu"))
    (line,) = str(refusal.value).splitlines()
    assert str(error).splitlines()[0] in line
    assert "close other programs" in line


def test_other_failures_of_a_device_are_not_swallowed(monkeypatch):
    monkeypatch.setattr(room, "measured_rate", raising(RuntimeError("no kernel image")))
    with pytest.raises(RuntimeError, match="no kernel image"):
        inspect_machine(SegmentationConfig(device="cpu"))


def raising(error):
    def probe(device, precision):
        raise error

    return probe


def test_the_rate_is_measured_without_touching_the_random_state(monkeypatch):
    monkeypatch.undo()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    rate = room.measured_rate(torch.device("cpu"), "bf16")
    assert torch.equal(torch.rand(3), expected)
    assert 1e8 < rate < 1e15
