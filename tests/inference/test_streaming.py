"""Streams against the same network on the whole volume."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from napari_meunet.errors import MeUNetError
from napari_meunet.inference.streaming import stages
from napari_meunet.inference.streaming.convolutions import (
    Layer,
    asks_onednn,
    convolved,
    convolved_doubled,
    of_doubled,
)
from napari_meunet.inference.streaming.domain import Domain
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.labelling import likeliest
from napari_meunet.inference.streaming.ring import Ring
from napari_meunet.inference.streaming.schedule import (
    IMAGE,
    MARGIN,
    Schedule,
    Source,
    Stage,
    schedule_of,
    sparing,
)
from napari_meunet.inference.streaming.sources import clear_outside
from napari_meunet.inference.streaming.stages import StageStream
from napari_meunet.inference.streaming.stream import CascadeStream
from napari_meunet.inference.tiles import aligned
from napari_meunet.network.stage import ConvStage

CPU = torch.device("cpu")
sixteens = st.sampled_from([16, 32])


class OneStage(nn.Module):
    """A network of a single stage, which `FoldedCascade` takes like a cascade."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.only = ConvStage(n_in, n_out)
        norm = self.only[1][1]
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.1, 2)
        norm.bias.data.uniform_(0.1, 1)


def test_folding_changes_nothing_but_rounding(make_checkpoint):
    checkpoint = make_checkpoint()
    network = checkpoint.build().double()
    schedule = schedule_of(checkpoint.card.network)
    weights = FoldedCascade(network, schedule, CPU, torch.double)
    stage, layers = network.stage1.enc2, weights.stages["stage1.enc2"]
    image = torch.rand(1, 2, 6, 7, 8, dtype=torch.double)
    found = image
    for layer in (layers.first, layers.second):
        found = functional.conv3d(found, layer.weight, layer.bias, padding=1).relu()
    torch.testing.assert_close(found, stage(image), rtol=1e-12, atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(
    n_in=st.integers(1, 3),
    n_out=st.integers(1, 3),
    size=st.tuples(*3 * [st.integers(1, 4)]),
    seed=st.integers(0, 9),
)
def test_what_is_doubled_may_be_convolved_before(n_in, n_out, size, seed):
    torch.manual_seed(seed)
    source = torch.randn(1, n_in, *size, dtype=torch.double)
    weight = torch.randn(n_out, n_in, 3, 3, 3, dtype=torch.double)
    doubled = functional.interpolate(source, scale_factor=2, mode="nearest")
    found = functional.conv_transpose3d(source, of_doubled(weight), stride=2, padding=1)
    expected = functional.conv3d(doubled, weight, padding=1)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("dtype", [torch.double, torch.float32, torch.bfloat16])
def test_both_ways_to_convolve_what_is_doubled_are_the_same(dtype):
    torch.manual_seed(0)
    last = torch.channels_last_3d
    skip, deep = torch.randn(1, 3, 6, 8, 10), torch.randn(1, 5, 3, 4, 5)
    weight, bias = torch.randn(4, 8, 3, 3, 3), torch.randn(4)
    whole = torch.cat((skip, functional.interpolate(deep, scale_factor=2)), 1)
    expected = functional.conv3d(whole, weight, bias, padding=(0, 0, 1)).relu()
    first, of_deep = weight[:, :3].to(dtype), of_doubled(weight[:, 3:]).to(dtype)
    bias = bias.to(torch.float32 if asks_onednn(CPU, dtype) else dtype)
    other = convolved_doubled(
        deep.to(dtype, memory_format=last), Layer(of_deep.to(memory_format=last), bias)
    )
    found = convolved(skip.to(dtype, memory_format=last), Layer(first, None), other)
    error = (found.double() - expected).norm() / expected.norm()
    assert error < {torch.bfloat16: 1e-2}.get(dtype, 1e-6)


def test_in_bf16_the_image_and_biases_of_stages_stay_in_fp32(make_checkpoint):
    checkpoint = make_checkpoint("pre")
    schedule = schedule_of(checkpoint.card.network)
    weights = FoldedCascade(checkpoint.build(), schedule, CPU, torch.bfloat16)
    for stage in schedule.stages:
        layers = weights.stages[stage.module]
        sees_image = stage.name in ("stage1.enc1", "stage2.enc1")
        outer = torch.float32 if sees_image else torch.bfloat16
        assert layers.first.weight.dtype == outer
        assert layers.second.weight.dtype == torch.bfloat16
        if asks_onednn(CPU, torch.bfloat16):
            assert layers.second.bias.dtype == torch.float32
    stream = CascadeStream(schedule, [weights], Domain(16, (16, 16), 0, 16, 10**6))
    assert stream.networks[0].rings[IMAGE].buffer.dtype == torch.float32


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", ["stage1.dec2.0.0.weight", "stage1.conv_out.bias"])
def test_weights_that_are_not_finite_are_refused(make_checkpoint, name, wrong):
    checkpoint = make_checkpoint("none")
    network = checkpoint.build()
    network.get_parameter(name).data.flatten()[0] = wrong
    schedule = schedule_of(checkpoint.card.network)
    with pytest.raises(MeUNetError, match=r"weights .* finite, got (nan|inf)"):
        FoldedCascade(network, schedule, CPU, torch.float32)


@given(scores=st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1))
def test_the_likeliest_class_is_the_lowest_of_equals(scores):
    labels, best = likeliest(torch.tensor(scores).float())
    expected = [max(each) for each in zip(*scores, strict=True)]
    assert best.tolist() == expected
    columns = zip(*scores, strict=True)
    assert labels.tolist() == [each.index(max(each)) for each in columns]


def test_folding_leaves_the_network_as_it_was(make_checkpoint):
    checkpoint = make_checkpoint()
    network = checkpoint.build()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    FoldedCascade(network, schedule_of(checkpoint.card.network), CPU, torch.bfloat16)
    after = network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert after["stage1.enc1.0.0.weight"].dtype == torch.float32


@given(
    capacity=st.integers(1, 9),
    pushes=st.lists(st.integers(1, 3), min_size=1, max_size=12),
    first=st.integers(-5, 5),
)
def test_a_ring_returns_the_latest_planes_by_their_index(capacity, pushes, first):
    ring = Ring(torch.zeros(1, 2, capacity, 2, 1))
    plane = first
    for n in pushes:
        n = min(n, capacity)
        planes = torch.arange(plane, plane + n).float()
        ring.write(
            plane, slice(None), planes[None, None, :, None, None].expand(1, 2, n, 2, 1)
        )
        plane += n
    kept = min(capacity, plane - first)
    out = torch.empty(1, 2, kept, 1, 1)
    ring.read(plane - kept, slice(1, 2), out)
    assert out[0, 1, :, 0, 0].tolist() == list(range(plane - kept, plane))


def test_rings_pool_and_double_as_the_network_does():
    buffer = torch.rand(1, 3, 6, 8, 4)
    first = 10  # the ring has wrapped: planes 10 11 | 6 7 8 9 lie at 4 5 | 0 1 2 3
    whole = torch.cat((buffer[:, :, 4:], buffer[:, :, :4]), dim=2)
    pooled = torch.empty(1, 3, 3, 2, 2)
    Ring(buffer).read_pooled(first // 2, slice(1, 3), pooled)
    assert torch.equal(pooled, functional.max_pool3d(whole, 2)[:, :, :, 1:3])
    doubled = torch.empty(1, 3, 12, 4, 8)
    Ring(buffer).read_doubled(2 * first, slice(2, 6), doubled)
    expected = functional.interpolate(whole, scale_factor=2, mode="nearest")
    assert torch.equal(doubled, expected[:, :, :, 2:6])


@pytest.mark.parametrize(
    ("first", "kept"),
    [(-9, []), (-5, []), (-2, [0, 1, 2]), (3, [3, 4, 5, 6, 7]), (8, [8, 9]), (10, [])],
)
def test_only_what_lies_inside_is_kept(first, kept):
    planes = torch.arange(first, first + 5).float()[None, None, :, None, None] + 100
    clear_outside(planes, 2, first, 10)
    assert [int(n) - 100 for n in planes.flatten() if n] == kept


@settings(max_examples=10, deadline=None)
@given(
    depth=sixteens,
    slab=sixteens,
    band=st.sampled_from([1, 700, 10_000]),
    seed=st.integers(0, 9),
)
def test_a_stage_gives_the_planes_of_its_two_convolutions(depth, slab, band, seed):
    torch.manual_seed(seed)
    network = OneStage(2, 3).double().eval()
    image = torch.rand(1, 2, depth, 16, 32, dtype=torch.double)
    stage = Stage("only", 0, (Source(IMAGE, "same", 2),), 3, delay=MARGIN)
    weights = FoldedCascade(network, Schedule((stage,), 2), CPU, torch.double)
    ring = Ring(torch.zeros(1, 2, slab + MARGIN, 16, 32, dtype=torch.double))
    stream = StageStream(
        stage, weights, {IMAGE: ring}, Domain(depth, (16, 32), 0, slab, band)
    )
    found = torch.full((1, 3, depth + 2 * slab, 16, 32), torch.nan, dtype=torch.double)
    with torch.inference_mode():
        for plane in range(0, depth + MARGIN, slab):
            ring.write(plane, slice(None), padded(image, plane, slab))
            for rows in stream.bands(plane - MARGIN):
                features = stream.features(plane - MARGIN, rows)
                found[:, :, plane : plane + slab, rows] = features
        expected = network.only(image)
    torch.testing.assert_close(found[:, :, MARGIN : depth + MARGIN], expected)
    assert not found[:, :, :MARGIN].any()


@pytest.mark.parametrize("fusion", ["none", "post", "pre"])
@settings(max_examples=5, deadline=None)
@given(
    depth=st.sampled_from([16, 48, 112]),
    section=st.tuples(sixteens, sixteens),
    slab=st.sampled_from([16, 32, 48]),
    band=st.sampled_from([1, 3000, 10**6]),
    spare=st.booleans(),
    transposes=st.booleans(),
    seed=st.integers(0, 2),
)
def test_streamed_labels_are_those_of_the_whole_volume(
    make_checkpoint, fusion, depth, section, slab, band, spare, transposes, seed
):
    checkpoint = make_checkpoint(fusion, seed=seed)
    torch.manual_seed(seed)
    image = torch.rand(1, 1, depth, *section, dtype=torch.double)
    with torch.inference_mode():
        expected = checkpoint.build().double()(image)[0].argmax(0)
    schedule = schedule_of(checkpoint.card.network)
    found = streamed(
        checkpoint,
        image,
        Domain(depth, section, 0, slab, band),
        schedule=sparing(schedule) if spare else schedule,
        transposes=transposes,
    )
    assert torch.equal(found.long(), expected)


@pytest.mark.parametrize("flips", [(-3,), (-2,), (-1,), (-3, -1), (-3, -2, -1)])
@pytest.mark.parametrize("fusion", ["none", "post", "pre"])
def test_flipped_kernels_see_the_mirror_image(make_checkpoint, fusion, flips):
    checkpoint = make_checkpoint(fusion)
    torch.manual_seed(0)
    image = torch.rand(1, 1, 48, 16, 32, dtype=torch.double)
    network = checkpoint.build().double()
    with torch.inference_mode():
        expected = network(image.flip(flips)).flip(flips)[0].argmax(0)
        plain = network(image)[0].argmax(0)
    domain = Domain(48, (16, 32), 0, 16, 10_000)
    found = streamed(checkpoint, image, domain, flips=(flips,))
    assert torch.equal(found.long(), expected)
    assert not torch.equal(expected, plain)


@settings(max_examples=5, deadline=None)
@given(
    flips=st.sets(st.sampled_from([(), (-3,), (-2, -1), (-3, -1)]), min_size=2),
    band=st.sampled_from([1, 3000, 10**6]),
    slab=st.sampled_from([16, 32]),
)
def test_several_networks_give_the_labels_of_their_mean(
    make_checkpoint, flips, band, slab
):
    checkpoint = make_checkpoint("post")
    torch.manual_seed(0)
    image = torch.rand(1, 1, 64, 32, 16, dtype=torch.double)
    network = checkpoint.build().double()
    with torch.inference_mode():
        answers = [network(image.flip(each)).flip(each) for each in flips]
    expected = torch.stack(answers).mean(0)[0].argmax(0)
    domain = Domain(64, (32, 16), 0, slab, band)
    found = streamed(checkpoint, image, domain, flips=tuple(flips))
    assert torch.equal(found.long(), expected)


def test_a_mean_of_half_precision_is_taken_in_full(make_checkpoint):
    checkpoint = make_checkpoint("post")
    torch.manual_seed(0)
    image = torch.rand(1, 1, 32, 16, 16)
    domain = Domain(32, (16, 16), 0, 16, 10_000)
    flips = (), (-3,), (-1,)
    found = streamed(checkpoint, image, domain, torch.float16, flips=flips)
    expected = streamed(checkpoint, image.double(), domain, flips=flips)
    other = streamed(checkpoint, image.double(), domain)
    assert (found != expected).float().mean() < 0.1 < (found != other).float().mean()


def test_random_networks_give_every_class_somewhere(make_checkpoint):
    """Or the comparison above would mean little."""
    for fusion in ("none", "post", "pre"):
        network = make_checkpoint(fusion).build()
        with torch.inference_mode():
            labels = network(torch.rand(1, 1, 32, 32, 32)).argmax(1)
        share = torch.bincount(labels.flatten(), minlength=3) / labels.numel()
        assert share.min() > 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("fusion", ["post", "pre"])
def test_a_later_start_gives_the_same_bits_beyond_the_reach(
    make_checkpoint, fusion, dtype
):
    checkpoint = make_checkpoint(fusion, features=(4, 4, 8, 8, 8))
    image = torch.rand(1, 1, 176, 16, 16)
    whole = streamed(checkpoint, image, Domain(176, (16, 16), 0, 16, 10_000), dtype)
    late = streamed(checkpoint, image, Domain(176, (16, 16), 16, 16, 10_000), dtype)
    reach = schedule_of(checkpoint.card.network).reach()
    first = aligned(16 + reach)
    assert torch.equal(late[first:], whole[first:])
    assert not torch.equal(late[16:], whole[16:])


def test_values_that_are_not_finite_are_refused(make_checkpoint):
    checkpoint = make_checkpoint("none")
    name = "stage1.enc1.0.0.weight"
    large = {**checkpoint.weights, name: 1e6 * checkpoint.weights[name]}
    checkpoint = replace(checkpoint, weights=large)
    image = torch.rand(1, 1, 16, 16, 16)
    with pytest.raises(MeUNetError, match=r"finite.*float16; choose precision fp32"):
        streamed(checkpoint, image, Domain(16, (16, 16), 0, 16, 10**6), torch.float16)


@pytest.mark.parametrize("fusion", ["none", "post", "pre"])
@pytest.mark.parametrize(("depth", "slab"), [(16, 16), (160, 16), (160, 48)])
@pytest.mark.parametrize("band", [1, 3000, 10**6])
def test_no_stage_makes_a_voxel_twice(
    make_checkpoint, monkeypatch, fusion, depth, slab, band
):
    made = Counter()

    def counted(planes, layer, other=None):
        found = convolved(planes, layer, other)
        made[layer] += found[0, 0].numel()
        return found

    def counted_doubled(planes, layer):
        found = convolved_doubled(planes, layer)
        made[layer] += found[0, 0].numel()
        return found

    monkeypatch.setattr(stages, "convolved", counted)
    monkeypatch.setattr(stages, "convolved_doubled", counted_doubled)
    checkpoint = make_checkpoint(fusion)
    schedule = schedule_of(checkpoint.card.network)
    weights = FoldedCascade(
        checkpoint.build(), schedule, CPU, torch.float32, transposes=True
    )
    stream = CascadeStream(schedule, [weights], Domain(depth, (32, 16), 0, slab, band))
    with torch.inference_mode():
        for _ in range(0, depth + schedule.delay, slab):
            stream.push(torch.zeros(1, 1, slab, 32, 16))
    for stage in schedule.stages:
        layers = weights.stages[stage.name]
        alone = Schedule((stage,), schedule.n_classes)
        planes = alone.flops(depth, slab) / alone.flops_per_voxel()
        voxels = planes * 32 * 16 / stage.scale**3
        with_margin = voxels * (1 + 2 * stage.scale / 32)  # a row on each side
        assert made[layers.second] == voxels
        assert made[layers.first] == with_margin
        if stage.n_doubled:
            assert made[layers.doubled] == with_margin
        assert depth <= planes <= depth + 2 * slab


def padded(image, plane, n):
    """Return planes of an image, zero where it has ended."""
    part = image[:, :, plane : plane + n]
    return functional.pad(part, (0, 0, 0, 0, 0, n - part.shape[2]))


def streamed(
    checkpoint,
    image,
    domain,
    dtype=torch.double,
    schedule=None,
    flips=((),),
    transposes=None,
):
    """Return the labels of a cascade, streamed from `domain.start` on."""
    schedule = schedule or schedule_of(checkpoint.card.network)
    weights = [
        FoldedCascade(
            checkpoint.build(), schedule, CPU, dtype, each, transposes=transposes
        )
        for each in flips
    ]
    stream = CascadeStream(schedule, weights, domain)
    labels = torch.full((domain.depth, *domain.section), 255, dtype=torch.uint8)
    for plane in range(domain.start, domain.depth + schedule.delay, domain.slab):
        first = stream.plane
        with torch.inference_mode():
            part = padded(image, plane, domain.slab).to(weights[0].image_dtype)
            made = stream.push(part).labels
        known = made[max(-first, 0) : domain.depth - first]
        labels[max(first, 0) : max(first, 0) + len(known)] = known
    return labels
