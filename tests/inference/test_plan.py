"""Plans, which are decided without a device."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_meunet.config import SegmentationConfig
from napari_meunet.errors import MeUNetError
from napari_meunet.inference.machine import Machine
from napari_meunet.inference.plan import plan_segmentation
from napari_meunet.inference.tiles import Grid
from napari_meunet.network.card import NetworkConfig
from napari_meunet.volume.open import open_volume
from napari_meunet.volume.reduced import reduced
from napari_meunet.volume.volume import Volume

UINT8 = np.dtype(np.uint8)
FLY = (1072, 470, 470)
LAPTOP = Machine(
    device="cpu",
    name="laptop",
    precision="fp32",
    host_free=int(8e9),
    device_free=int(8e9),
    rate=1e11,
)
GPU = Machine(
    device="cuda:0",
    name="GPU",
    precision="fp16",
    host_free=int(64e9),
    device_free=int(24e9),
    rate=1e13,
)


def network(fusion="post"):
    return NetworkConfig(
        n_classes=3,
        features=(16, 32, 64, 128, 128),
        refinement_features=(8, 16, 32),
        fusion=fusion,
    )


def planned(
    shape=FLY,
    machine=LAPTOP,
    dtype=UINT8,
    fusion="post",
    box=None,
    flips=((),),
    **config,
):
    volume = Volume.from_array(np.broadcast_to(np.zeros((), dtype), shape))
    config = SegmentationConfig(**config)
    return plan_segmentation(volume, network(fusion), config, machine, box, flips=flips)


def test_a_fly_is_done_in_whole_planes_within_4_gb_in_any_precision():
    for precision in ("fp32", "bf16"):
        plan = planned(
            machine=replace(LAPTOP, precision=precision, device_free=int(24e9))
        )
        assert plan.parts == (1, 1)
        assert plan.host_bytes + plan.device_bytes < 2.5e9


@pytest.mark.parametrize(("edge", "slab"), [(470, 64), (1000, 64), (1400, 32)])
def test_slabs_are_long_on_a_gpu_and_short_on_a_processor(edge, slab):
    assert planned((500, edge, edge), GPU).slab == slab
    assert planned((500, edge, edge), replace(LAPTOP, device_free=10**11)).slab == 16


def test_what_reading_keeps_is_counted(tmp_path):
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=FLY, dtype="u2", chunks=(64, 64, 64)
    )
    volume, fixed = open_volume(tmp_path / "a.zarr"), Volume.from_array(array)
    kept = 2 * 64 * 480**2
    assert (volume.kept_bytes((480, 480)), fixed.kept_bytes((480, 480))) == (kept, 0)
    assert volume.kept_bytes((4000, 4000)) == 0  # too large to be kept
    whole, memory_map = (
        plan_segmentation(scan, network(), SegmentationConfig(), LAPTOP)
        for scan in (volume, fixed)
    )
    assert whole.host_bytes - memory_map.host_bytes == kept


def test_a_reduced_scan_takes_less_of_everything_and_the_plan_says_so():
    fly = Volume.from_array(np.broadcast_to(np.uint8(0), FLY))
    seen, grid = reduced(fly, (4, 4, 4)), Grid(FLY, (4, 4, 4))
    plan = plan_segmentation(seen, network(), SegmentationConfig(), LAPTOP, None, grid)
    whole = planned()
    assert "4 x 4 x 4 voxels are seen as one" in str(plan)
    assert "seen as one" not in str(whole)
    assert "air" not in str(plan)
    assert plan.device_bytes < whole.device_bytes
    assert plan.seconds < whole.seconds / 10
    # labels of a slab of the scan wait to be written, whatever the network sees
    assert plan.host_bytes > 2 * 4 * plan.slab * 470**2
    box = (80, 201), (0, 118), (16, 60)
    plan = plan_segmentation(seen, network(), SegmentationConfig(), LAPTOP, box, grid)
    assert "planes 320 to 832, rows 0 to 470, columns 64 to 256, beyond" in str(plan)


def test_a_mean_takes_so_many_times_the_work_and_most_of_the_memory():
    flips = (), (-3,), (-2,), (-1,)
    (once, mean) = (
        planned((256, 256, 256), GPU, flips=each, columns=(1, 1), slab=16)
        for each in (flips[:1], flips)
    )
    assert mean.seconds == pytest.approx(4 * once.seconds)
    assert once.host_bytes == mean.host_bytes
    assert 2 * once.device_bytes < mean.device_bytes < 4 * once.device_bytes
    assert "the mean of the scan and 3 flipped ones" in str(mean)
    assert "mean" not in str(once)
    with pytest.raises(MeUNetError, match="segment without averaging, allow more"):
        planned((256, 256, 256), GPU, flips=flips, memory=10**7)


def test_a_box_is_made_larger_until_it_begins_at_multiples_of_16():
    box = (300, 801), (17, 200), (0, 470)
    plan = planned(box=box)
    assert plan.box == ((288, 816), (16, 208), (0, 470))
    (column,) = plan.columns
    assert column.core == ((0, 470), (0, 470))
    assert column.read == ((16, 208), (0, 480))
    whole = planned()
    assert whole.box == ((0, 1072), (0, 470), (0, 470))
    text = "planes 288 to 816, rows 16 to 208, columns 0 to 470, beyond which there is"
    assert str(plan).endswith(f"approximate: {text} air")
    assert "air" not in str(whole)
    assert (plan.slab, whole.slab) == (16, 16)
    work = plan.schedule.flops
    share = work(816 - 288, 16) * 192 / (work(1072, 16) * 480)
    assert plan.seconds == pytest.approx(share * whole.seconds)
    assert plan.device_bytes < whole.device_bytes
    # two slabs are written while the next one is made: of the whole section
    assert plan.host_bytes > 3 * plan.slab * 470**2


def test_a_section_that_does_not_fit_is_cut_into_the_fewest_columns():
    whole = planned((2000, 2000, 2000), GPU, memory=60 * 10**9)
    assert whole.parts == (1, 1)
    plan = planned((2000, 2000, 2000), GPU, memory=12 * 10**9)
    assert len(plan.columns) == 4
    assert plan.device_bytes <= 12e9
    assert plan.seconds > whole.seconds
    assert "4 columns" in str(plan)
    assert all(column.section[0] <= 1008 + 96 for column in plan.columns)


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 1500)] * 3),
    memory=st.integers(10**9, 10**11),
    fusion=st.sampled_from(["post", "pre", "none"]),
)
def test_more_memory_never_means_more_columns(shape, memory, fusion):
    try:
        tight = planned(shape, GPU, fusion=fusion, memory=memory)
    except MeUNetError:
        return
    ample = planned(shape, GPU, fusion=fusion, memory=2 * memory)
    assert tight.device_bytes <= memory
    assert len(ample.columns) <= len(tight.columns)


@pytest.mark.parametrize(
    ("fusion", "exact_halo", "halo"),
    [("post", True, 96), ("none", True, 96), ("pre", True, 128), ("pre", False, 48)],
)
def test_columns_overlap_by_what_the_network_needs(fusion, exact_halo, halo):
    plan = planned(fusion=fusion, exact_halo=exact_halo, columns=(1, 2))
    one, two = plan.columns
    assert one.read[1] == (0, 240 + halo)
    assert two.read[1] == (240 - halo, 480)
    assert plan.exact is exact_halo
    assert ("approximate" in str(plan)) is not exact_halo


def test_a_whole_section_is_exact_whatever_the_halo():
    assert planned(exact_halo=False, memory=10**10).exact


def test_slab_and_columns_can_be_asked_for():
    plan = planned(slab=48, columns=(2, 3), memory=10**10)
    assert (plan.slab, plan.parts) == (48, (2, 3))


def test_more_columns_than_the_section_has_room_for_are_refused():
    with pytest.raises(MeUNetError, match=r"at most \(2, 7\) along .*got \(3, 7\)"):
        planned((10, 20, 100), columns=(3, 7))


def test_half_of_the_free_memory_is_the_default():
    plan = planned((1000, 800, 800))
    assert plan.host_bytes + plan.device_bytes <= 4e9
    assert len(plan.columns) > 1


def test_what_cannot_fit_is_refused_with_a_remedy():
    with pytest.raises(
        MeUNetError, match=r"allowed, 0\.10 GB on cpu, got .*allow more"
    ):
        planned(memory=10**8)


def test_wide_data_types_need_more_host_memory():
    eight, sixteen = planned(machine=GPU), planned(machine=GPU, dtype=np.dtype("u2"))
    assert sixteen.host_bytes > eight.host_bytes
    assert sixteen.device_bytes == eight.device_bytes


def test_the_papers_windows_take_72_windows_for_a_fly():
    plan = planned(preset="paper", memory=10**10)
    work = 72 * 240**2 * plan.schedule.flops(240, plan.slab)
    assert plan.seconds == pytest.approx(work / LAPTOP.rate)
    assert 1 < work / (72 * 240**3 * 89_952) < 1.3  # whole slabs
    assert plan.parts == (1, 1)
    assert str(plan).startswith("the paper's windows, fp32 on cpu, ")


def test_the_papers_windows_that_do_not_fit_lead_to_the_other_preset():
    with pytest.raises(MeUNetError, match="choose the preset 'exact'"):
        planned((2000, 2000, 2000), preset="paper")


@pytest.mark.parametrize(
    ("rate", "words"),
    [(1e15, "about 1 s"), (1e11, "about 7 min"), (1e9, "about 11 h 10 min")],
)
def test_a_plan_says_what_it_takes_in_words(rate, words):
    plan = planned(memory=10**10, machine=replace(LAPTOP, rate=rate))
    assert str(plan) == f"whole planes, fp32 on cpu, 2.3 GB, {words}"


def test_planning_loads_no_torch():
    code = "import sys, napari_meunet.inference.plan; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
