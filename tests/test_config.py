import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_meunet.config import LabelClass, SegmentationConfig, TrainingConfig
from napari_meunet.errors import MeUNetError

segmentation_configs = st.builds(
    SegmentationConfig,
    preset=st.sampled_from(["exact", "paper"]),
    device=st.sampled_from(["auto", "cpu", "cuda", "cuda:3", "mps"]),
    precision=st.sampled_from(["auto", "fp32", "bf16", "fp16"]),
    memory=st.none() | st.integers(1, 10**13),
    slab=st.none() | st.integers(1, 8).map(lambda n: 16 * n),
    overwrite_corrected=st.booleans(),
)


@given(segmentation_configs)
def test_a_config_survives_json(config):
    assert SegmentationConfig.from_json(config.model_dump_json()) == config


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
    with pytest.raises(MeUNetError, match="stage 1 alone"):
        TrainingConfig.checked(fusion="none")
    assert TrainingConfig.checked(fusion="none", stage2_steps=0).fusion == "none"


def test_the_expanded_patch_is_not_smaller_than_the_local_one():
    with pytest.raises(MeUNetError, match="expanded_size must be at least patch_size"):
        TrainingConfig.checked(patch_size=96, expanded_size=64)


def test_a_colour_is_six_hexadecimal_digits():
    with pytest.raises(MeUNetError, match="color"):
        LabelClass.checked(value=1, name="gut", color="orange")
