import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_meunet.config import (
    PRESETS,
    LabelClass,
    SegmentationConfig,
    TrainingConfig,
)
from napari_meunet.errors import MeUNetError

segmentation_configs = st.builds(
    SegmentationConfig,
    preset=st.sampled_from(["exact", "paper"]),
    device=st.sampled_from(["auto", "cpu", "cuda", "cuda:3", "mps"]),
    precision=st.sampled_from(["auto", "fp32", "bf16", "fp16"]),
    memory=st.none() | st.integers(1, 10**13),
    slab=st.none() | st.integers(1, 8).map(lambda n: 16 * n),
    exact_halo=st.booleans(),
    overwrite_corrected=st.booleans(),
)


@given(segmentation_configs)
def test_a_config_survives_json(config):
    assert SegmentationConfig.from_json(config.model_dump_json()) == config


@pytest.mark.parametrize("name", ["skip_air", "average"])
def test_windows_are_those_that_were_published(name):
    assert getattr(SegmentationConfig.checked(**{name: True}), name)
    message = f"^{name} goes with the preset 'exact' alone, got 'paper'$"
    with pytest.raises(MeUNetError, match=message):
        SegmentationConfig.checked(preset="paper", **{name: True})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"device": "gpu"}, "device: .* got 'gpu'"),
        ({"memory": 0}, "memory: .* got 0"),
        ({"slab": 24}, "slab: .*multiple of 16, got 24"),
        ({"preset": "fast"}, "preset: .* got 'fast'"),
        ({"tile": 3}, "tile: .* got 3"),
    ],
)
def test_an_invalid_value_names_the_field_the_rule_and_the_value(values, message):
    with pytest.raises(MeUNetError, match=message):
        SegmentationConfig.checked(**values)


def test_text_that_is_not_a_config_is_refused():
    with pytest.raises(MeUNetError, match="SegmentationConfig"):
        SegmentationConfig.from_json("{")


def test_stage_one_alone_goes_with_no_steps_of_stage_two():
    for steps in ({"stage2_steps": 1}, {"joint_steps": 1}):
        with pytest.raises(MeUNetError, match="stage 1 alone"):
            TrainingConfig.checked(fusion="none", **steps)
    config = TrainingConfig.checked(fusion="none")
    assert (config.stage2_steps, config.joint_steps) == (0, 0)
    assert TrainingConfig().joint_steps > 0


def test_the_expanded_patch_is_not_smaller_than_the_local_one():
    with pytest.raises(MeUNetError, match="expanded_size must be at least patch_size"):
        TrainingConfig.checked(patch_size=96, expanded_size=64)


@pytest.mark.parametrize(("local", "expanded"), [(32, 48), (48, 80), (160, 240)])
def test_the_expanded_patch_is_half_as_long_again_if_nothing_is_said(local, expanded):
    assert TrainingConfig.checked(patch_size=local).expanded_size == expanded
    both = TrainingConfig.checked(patch_size=local, expanded_size=256)
    assert both.expanded_size == 256
    defaults = TrainingConfig()
    assert defaults == TrainingConfig.checked(patch_size=defaults.patch_size)


def test_a_colour_is_six_hexadecimal_digits():
    with pytest.raises(MeUNetError, match="color"):
        LabelClass.checked(value=1, name="gut", color="orange")


def test_the_paper_preset_is_the_published_recipe():
    config = TrainingConfig.checked(**PRESETS["paper"])
    assert (config.patch_size, config.expanded_size) == (160, 240)
    assert config.batch_size == 4
    assert (config.learning_rate, config.schedule) == (9e-4, "constant")
    assert (config.sampling, config.cross_entropy) == ("windows", "weighted")
    assert not config.normalise
    assert (config.augmentation, config.deform) == ("affine", 0.2)
    assert config.synthetic == 0
    assert config.averaging == 0
    assert config.statistics == "running"
    assert config.patience == 30
    assert (config.fusion, config.stage2_steps, config.joint_steps) == ("none", 0, 0)


def test_other_values_count_more_than_those_of_a_preset():
    small = {"patch_size": 64, "expanded_size": 96, "fusion": "post", "stage2_steps": 9}
    config = TrainingConfig.checked(**{**PRESETS["paper"], **small})
    assert (config.patch_size, config.expanded_size, config.stage2_steps) == (64, 96, 9)
    assert config.sampling == "windows"


def test_the_default_preset_is_the_default():
    assert TrainingConfig.checked(**PRESETS["default"]) == TrainingConfig()


@pytest.mark.parametrize("changes", [{}, {"augmentation": "affine", "synthetic": 0.5}])
def test_raw_grey_values_go_with_nothing_that_makes_others(changes):
    with pytest.raises(MeUNetError, match="raw grey values go with the affine"):
        TrainingConfig.checked(normalise=False, **changes)
