"""What the user asks for, as frozen models with JSON in and out."""

from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

from napari_meunet.errors import MeUNetError

Shape = tuple[int, int, int]
"""Voxels along (z, y, x)."""


class Frozen(BaseModel):
    """An immutable model that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `model_dump_json` wrote.

        Raises
        ------
        MeUNetError
            If the text is not JSON or a field is unknown, missing or invalid.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise MeUNetError(f"{cls.__name__}: {first_problem(error)}") from error

    @classmethod
    def checked(cls, **values: object) -> Self:
        """Build from user input; an invalid value is a `MeUNetError`."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise MeUNetError(first_problem(error)) from error


def first_problem(error: ValidationError) -> str:
    """Return the first problem as ``field: rule, got value``."""
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"]) or "value"
    return f"{place}: {problem['msg']}, got {problem['input']!r}"


class LabelClass(Frozen):
    """One value of a label map.

    Attributes
    ----------
    value
        Voxel value, 0 to 255; 0 is the background.
    name
        What the value stands for, for example ``"gut"``.
    color
        ``#rrggbb``.
    """

    value: Annotated[int, Field(ge=0, le=255)]
    name: Annotated[str, Field(min_length=1)]
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class SegmentationConfig(Frozen):
    """How to segment a volume.

    Attributes
    ----------
    preset
        ``"exact"`` streams planes: the labels are those of the network applied to
        the whole volume. ``"paper"`` repeats the overlapping windows and hard votes
        of the authors' notebook, with stage 1 alone.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
    precision
        ``"auto"`` is fp16 on CUDA, bf16 on processors that compute it, else fp32.
    memory
        Bytes that the run may take on the device where it computes; None takes
        half of what is free there.
    slab
        Planes per step of the exact preset, a multiple of 16; None lets the plan
        decide.
    columns
        Parts of the section along (y, x) of the exact preset; None takes as few as
        fit the memory.
    exact_halo
        Whether columns overlap so far that the labels do not depend on how the
        section is cut. False lets them overlap by 48 voxels, a declared approximation
        that is faster where columns are narrow.
    overwrite_corrected
        Let the model write over voxels that a person has corrected.
    """

    preset: Literal["exact", "paper"] = "exact"
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    memory: Annotated[int, Field(gt=0)] | None = None
    slab: Annotated[int, Field(gt=0, multiple_of=16)] | None = None
    columns: tuple[PositiveInt, PositiveInt] | None = None
    exact_halo: bool = True
    overwrite_corrected: bool = False


class TrainingConfig(Frozen):
    """How to train a cascade.

    Attributes
    ----------
    patch_size
        Edge of the cubic local patch in voxels, a multiple of 16.
    expanded_size
        Edge of the expanded patch around the same centre, a multiple of 32. The
        notebook takes 1.5 times the local patch; equal sizes switch it off.
    batch_size
        Patches per step and device.
    stage1_steps, stage2_steps
        Optimiser steps of each stage; stage 2 trains on the frozen stage 1. A stage
        with zero steps stays as it is in the checkpoint that training begins from.
    joint_steps
        Optimiser steps of both stages together, after that.
    learning_rate
        Peak rate of Adam (the notebook's value).
    schedule
        How the rate falls in each phase: to zero along half a cosine or with the
        power 0.9 of the steps left, or not at all (the notebook).
    averaging
        Decay of the exponential moving average of the weights, which is what is
        saved; 0 saves the last weights.
    fixed_statistics
        Fraction of each phase, at its end, in which BatchNorm normalises by fixed
        statistics, as it does when the network is used, and not by those of the batch.
    fusion
        How the stages are joined, see `napari_meunet.network.cascade`.
    foreground
        Fraction of patches centred on a labelled voxel, the classes in turn.
    deform
        Fraction of patches that are turned, zoomed and bent by any amount; flips and
        right angles come always.
    synthetic
        Fraction of patches whose image is made up from the labels, with random
        contrasts and artefacts; 1 learns from label maps alone.
    mirror
        Whether patches may be mirrored. False if classes differ by their side alone.
    patience
        None trains all steps. A number keeps, in each phase, the weights that were
        best on the validation scans, and ends it after so many validations without
        gain.
    validation_steps
        Steps between two validations, where there are scans to validate on.
    seed
        Seed of weights, patches and augmentation.
    device
        As in `SegmentationConfig`.
    n_devices, n_nodes
        CUDA devices of each computer, and computers.
    """

    patch_size: Annotated[int, Field(ge=32, multiple_of=16)] = 64
    expanded_size: Annotated[int, Field(ge=32, multiple_of=32)] = 96
    batch_size: PositiveInt = 2
    stage1_steps: NonNegativeInt = 2000
    stage2_steps: NonNegativeInt = 1000
    joint_steps: NonNegativeInt = 0
    learning_rate: Annotated[float, Field(gt=0)] = 9e-4
    schedule: Literal["cosine", "polynomial", "constant"] = "cosine"
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.99
    fixed_statistics: Annotated[float, Field(ge=0, le=1)] = 0.25
    fusion: Literal["post", "pre", "none"] = "post"
    foreground: Annotated[float, Field(ge=0, le=1)] = 0.75
    deform: Annotated[float, Field(ge=0, le=1)] = 0.3
    synthetic: Annotated[float, Field(ge=0, le=1)] = 0.0
    mirror: bool = True
    patience: PositiveInt | None = None
    validation_steps: PositiveInt = 250
    seed: NonNegativeInt = 0
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")] = "auto"
    n_devices: PositiveInt = 1
    n_nodes: PositiveInt = 1

    @model_validator(mode="after")
    def _sizes_and_stages_agree(self) -> Self:
        if self.expanded_size < self.patch_size:
            raise ValueError(
                "expanded_size must be at least patch_size, got "
                f"{self.expanded_size} and {self.patch_size}"
            )
        if self.fusion == "none" and (self.stage2_steps or self.joint_steps):
            raise ValueError(
                "fusion 'none' is stage 1 alone and goes with no steps of stage 2, got "
                f"{self.stage2_steps} and {self.joint_steps} joint ones"
            )
        return self
