"""Stage 1 is the authors' network; stage 2 and the cascade are ours."""

import pytest
import torch
from torch import nn

from napari_meunet.network.cascade import Cascade, RefinementUNet
from napari_meunet.network.meunet import MeUNet
from napari_meunet.network.stage import ConvStage

STAGES = ["enc1", "enc2", "enc3", "enc4", "enc5", "dec4", "dec3", "dec2", "dec1"]
BLOCK = ["0.weight", "0.bias", "1.weight", "1.bias"]
BLOCK += ["1.running_mean", "1.running_var", "1.num_batches_tracked"]


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def small(**changes):
    return MeUNet(**{"n_classes": 3, "features": (2, 3, 4, 5, 6), **changes})


def test_parameters_are_those_of_the_notebook():
    network = MeUNet(n_classes=3)
    expected = {
        "enc1": 7_440,
        "enc2": 41_664,
        "enc3": 166_272,
        "enc4": 664_320,
        "enc5": 885_504,
        "dec4": 553_344,
        "dec3": 138_432,
        "dec2": 34_656,
        "dec1": 20_832,
        "conv_out": 51,
        "global_out": 51,
        "dummy_layer": 1,
    }
    assert {name: n_parameters(getattr(network, name)) for name in expected} == expected
    assert n_parameters(network) == 2_512_567


def test_the_state_dict_has_the_published_names():
    names = {
        f"{stage}.{block}.{name}"
        for stage in STAGES
        for block in "01"
        for name in BLOCK
    }
    heads = {f"{h}.{n}" for h in ("conv_out", "global_out") for n in ("weight", "bias")}
    state = MeUNet(n_classes=3).state_dict()
    assert set(state) == names | heads | {"dummy_layer.dummy"}
    assert len(state) == 131
    assert state["enc1.0.0.weight"].shape == (16, 1, 3, 3, 3)
    assert state["dec4.0.0.weight"].shape == (64, 256, 3, 3, 3)
    assert state["conv_out.weight"].shape == (3, 16, 1, 1, 1)


def test_nothing_is_registered_twice():
    state = Cascade(n_classes=3).state_dict()
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)


@pytest.mark.parametrize("size", [(33, 35, 37), (16, 16, 16), (47, 16, 20)])
def test_any_size_comes_out_as_it_went_in(size):
    with torch.no_grad():
        assert small().eval()(torch.rand(2, 1, *size)).shape == (2, 3, *size)
        cascade = Cascade(n_classes=2, features=(2, 2, 2, 2, 2)).eval()
        logits = cascade(torch.rand(1, 1, *size))
    assert logits.shape == (1, 2, *size)


def test_the_expanded_patch_gives_logits_at_half_resolution():
    logits = small().expanded_logits(torch.rand(1, 1, 48, 32, 64))
    assert logits.shape == (1, 3, 24, 16, 32)


def test_the_encoder_comes_first_in_a_skip_connection():
    """The order of channels decides whether published weights mean the same."""
    network = small().eval()
    image = torch.rand(1, 1, 16, 16, 16)
    inputs = {}
    network.dec1.register_forward_pre_hook(lambda _, args: inputs.update(dec1=args[0]))
    with torch.no_grad():
        network(image)
        assert torch.equal(inputs["dec1"][:, :2], network.enc1(image))


def test_a_local_patch_trains_all_but_the_other_head():
    network = small()
    network(torch.rand(1, 1, 32, 32, 32)).square().sum().backward()
    assert without_gradient(network) == {"global_out", "dummy_layer"}


def test_an_expanded_patch_trains_only_the_lower_levels():
    network = small()
    network.expanded_logits(torch.rand(1, 1, 32, 32, 32)).square().sum().backward()
    assert without_gradient(network) == {"enc1", "dec1", "conv_out", "dummy_layer"}


def without_gradient(network):
    return {
        name
        for name, child in network.named_children()
        if list(child.parameters())
        and all(parameter.grad is None for parameter in child.parameters())
    }


@pytest.mark.parametrize("fusion", ["none", "post", "pre"])
def test_every_parameter_of_the_cascade_is_used_or_published(fusion):
    cascade = Cascade(n_classes=3, features=(2, 2, 2, 2, 2), fusion=fusion)
    cascade(torch.rand(1, 1, 32, 32, 32)).square().sum().backward()
    unused = {
        name.rsplit(".", 1)[0]
        for name, parameter in cascade.named_parameters()
        if parameter.grad is None
    }
    expected = {"stage1.global_out", "stage1.dummy_layer"}
    assert unused == expected | ({"stage1.conv_out"} if fusion == "post" else set())


def test_a_stage_is_convolution_normalisation_and_relu_twice():
    stage = ConvStage(1, 1).eval()
    for block in stage:
        nn.init.zeros_(block[0].weight)
        block[0].weight.data[0, 0, 1, 1, 1] = 2
        nn.init.constant_(block[0].bias, -3)
        block[1].running_mean.fill_(1)
        block[1].running_var.fill_(4 - 1e-5)
    x = torch.tensor([0.0, 5, 9]).reshape(1, 1, 1, 1, 3)
    # (2 * 9 - 3 - 1) / 2 = 7, then (2 * 7 - 3 - 1) / 2 = 5
    assert stage(x).flatten().tolist() == pytest.approx([0, 1, 5], abs=1e-4)


def test_stage_two_has_three_levels():
    network = RefinementUNet(in_channels=4, features=(2, 3, 5))
    assert network(torch.rand(1, 4, 9, 10, 11)).shape == (1, 2, 9, 10, 11)
    assert network.enc1[0][0].in_channels == 4
    assert network.dec2[0][0].in_channels == 3 + 5


def test_pre_concatenation_hands_probabilities_to_stage_two():
    cascade = Cascade(n_classes=3, features=(2, 2, 2, 2, 2), fusion="pre").eval()
    seen = {}
    cascade.stage2.register_forward_pre_hook(lambda _, args: seen.update(x=args))
    image = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        cascade(image)
        expected = cascade.stage1(image).softmax(1)
    assert torch.equal(seen["x"][0], image)
    torch.testing.assert_close(seen["x"][1], expected)


def test_without_fusion_the_cascade_is_stage_one():
    cascade = Cascade(n_classes=3, features=(2, 2, 2, 2, 2), fusion="none").eval()
    image = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        assert torch.equal(cascade(image), cascade.stage1(image))
    assert {name.split(".")[0] for name in cascade.state_dict()} == {"stage1"}
