"""What the user asks for, as frozen models with JSON in and out."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

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

CONFIDENCE_EDGE = 4
"""Voxels along the edge of the blocks for which it is kept how sure a model was."""

Turn = Literal["any", "about_z", "none"]
"""About which axes a scan may be turned by right angles."""


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
    """Return the first problem as ``field: rule, got value``.

    One of several fields together says itself what it got.
    """
    problem = error.errors()[0]
    if not problem["loc"]:
        return problem["msg"].removeprefix("Value error, ")
    place = ".".join(str(part) for part in problem["loc"])
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


class Calibration(Frozen):
    """How often a model is wrong where it claims to be wrong so often.

    Attributes
    ----------
    claimed
        Fractions of voxels, rising.
    wrong
        Fractions of voxels that were wrong there, never falling.
    n_scans
        Scans on which this was measured, which the model did not learn from.
    """

    claimed: tuple[float, ...]
    wrong: tuple[float, ...]
    n_scans: PositiveInt


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
        half of what is free there, or 80 % on a CUDA device.
    slab
        Planes per step of the exact preset, a multiple of 16; None lets the plan
        decide.
    columns
        Parts of the section along (y, x) of the exact preset; None takes as few as
        fit the memory.
    resolution
        ``"model"`` shows the network a scan that is finer than those it was trained
        on at their resolution, and enlarges the labels, see
        `napari_meunet.network.spacing.reduction`; for the exact preset.
        ``"scan"`` shows it every voxel.
    skip_air
        Whether only a box around what is brighter than air is computed, and all beyond
        it is background; for the exact preset. A declared approximation, see
        `napari_meunet.volume.air`.
    average
        Whether labels come from the mean of what the network says of the scan and of
        the same flipped, in all ways that it learned to label alike, up to 8, see
        `napari_meunet.network.orientations`; for the exact preset.
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
    resolution: Literal["model", "scan"] = "model"
    skip_air: bool = False
    average: bool = False
    exact_halo: bool = True
    overwrite_corrected: bool = False

    @model_validator(mode="after")
    def _windows_are_as_published(self) -> Self:
        for name in ("skip_air", "average"):
            if self.preset == "paper" and getattr(self, name):
                raise ValueError(
                    f"{name} goes with the preset 'exact' alone, got 'paper'"
                )
        return self


SHORTEST_STREAMED = 64
"""Local patches in voxels from which a model may be expected to label whole scans as
well as patches: measured, see docs/accuracy.md."""


def expanded_around(patch_size: int) -> int:
    """Return 1.5 times the local patch, as in the authors' notebook (cell 11).

    It is rounded up to a multiple of 16.
    """
    return -(-patch_size * 3 // 32) * 16


class TrainingConfig(Frozen):
    """How to train a cascade.

    Attributes
    ----------
    patch_size
        Edge of the cubic local patch in voxels, a multiple of 16.
    expanded_size
        Edge of the expanded patch around the same centre, a multiple of 16; if not
        given, `expanded_around` the local patch. With equal sizes both heads learn
        from the local one.
    batch_size
        Patches per step and device.
    stage1_steps, stage2_steps
        Optimiser steps of each stage alone; stage 2 trains on the frozen stage 1. What
        has no steps, joint ones neither, stays as it is in the checkpoint that training
        begins from.
    joint_steps
        Optimiser steps of both stages together, after those.
    learning_rate
        Peak rate of Adam (the notebook's value).
    schedule
        How the rate falls in each phase: to zero along half a cosine or with the
        power 0.9 of the steps left, or not at all (the notebook).
    averaging
        Decay of the exponential moving average of the weights, which is what is
        saved; 0 saves the last weights.
    statistics
        What BatchNorm normalises by afterwards. ``"measured"`` at the final weights;
        ``"running"`` averages, as in the notebook; ``"frozen"``: those of the
        checkpoint that training begins from, which there must be, already while it
        learns: so what learns is what will be used, however unlike the scan its
        patches are.
    fusion
        How the stages are joined, see `napari_meunet.network.cascade`.
    sampling
        ``"balanced"`` draws random patches, see `foreground`; ``"windows"`` shows the
        regular windows of the notebook, see `napari_meunet.training.patches.windows`.
    foreground
        Fraction of balanced patches drawn for a labelled voxel, the classes in turn;
        it lies anywhere in the middle of the local patch.
    cross_entropy
        ``"plain"``, or ``"weighted"`` by how rare a class is, as in the notebook, see
        `napari_meunet.training.loop.losses.class_weights`.
    dice
        Whether the Dice loss is added to that, as in the notebook. Where few voxels of
        a patch have a label, the Dice of a class hangs on a handful of them.
    normalise
        Whether intensities are scaled by the percentiles of each scan. False feeds raw
        grey values of 8 bits, as the notebook does.
    augmentation
        ``"full"`` flips and turns by right angles always, as far as `mirror` and
        `turn` allow it, changes the grey values, and bends a fraction `deform`;
        ``"none"`` does nothing, to learn one scan a little better;
        ``"affine"`` turns and scales a fraction `deform`, and does no more, as the
        notebook does (cell 2).
    deform
        Fraction of patches that are turned, zoomed and, if the augmentation is full,
        bent by any amount.
    synthetic
        Fraction of patches whose image is made up from the labels, with random
        contrasts and artefacts; 1 learns from label maps alone.
    mirror
        Whether patches may be mirrored. False if classes differ by their side alone.
    turn
        About which axes patches may be turned by right angles: ``"any"``;
        ``"about_z"``, the axis of the rotation stage, if classes differ by which end
        is up (without `mirror`, which turns it over, too); or ``"none"`` if they
        differ by their direction alone, as fibres do.
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
    memory
        Bytes that a process may take on the device where it computes; None takes most
        of what is free on a CUDA device, and half on another. What does not fit is
        computed twice; what is learnt does not depend on it.
    n_devices, n_nodes
        CUDA devices of each computer, and computers.
    """

    patch_size: Annotated[int, Field(ge=32, multiple_of=16)] = 64
    expanded_size: Annotated[int, Field(ge=32, multiple_of=16)] = 96
    batch_size: PositiveInt = 4
    stage1_steps: NonNegativeInt = 500
    stage2_steps: NonNegativeInt = 0
    joint_steps: NonNegativeInt = 1500
    learning_rate: Annotated[float, Field(gt=0)] = 9e-4
    schedule: Literal["cosine", "polynomial", "constant"] = "cosine"
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.99
    statistics: Literal["measured", "running", "frozen"] = "measured"
    fusion: Literal["post", "pre", "none"] = "post"
    sampling: Literal["balanced", "windows"] = "balanced"
    foreground: Annotated[float, Field(ge=0, le=1)] = 0.75
    cross_entropy: Literal["plain", "weighted"] = "plain"
    dice: bool = True
    normalise: bool = True
    augmentation: Literal["full", "none", "affine"] = "full"
    deform: Annotated[float, Field(ge=0, le=1)] = 0.3
    synthetic: Annotated[float, Field(ge=0, le=1)] = 0.0
    mirror: bool = True
    turn: Turn = "any"
    patience: PositiveInt | None = None
    validation_steps: PositiveInt = 250
    seed: NonNegativeInt = 0
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")] = "auto"
    memory: Annotated[int, Field(gt=0)] | None = None
    n_devices: PositiveInt = 1
    n_nodes: PositiveInt = 1

    @model_validator(mode="before")
    @classmethod
    def _expanded_size_follows(cls, values: Any) -> Any:
        """Where nothing is said of it, the expanded patch is as large as published."""
        if not (isinstance(values, dict) and isinstance(values.get("patch_size"), int)):
            return values
        return {"expanded_size": expanded_around(values["patch_size"])} | values

    @model_validator(mode="before")
    @classmethod
    def _stage1_alone_has_all_steps(cls, values: Any) -> Any:
        """Where nothing is said of steps, stage 1 alone takes those of both stages."""
        if not (isinstance(values, dict) and values.get("fusion") == "none"):
            return values
        phases = ("stage1_steps", "stage2_steps", "joint_steps")
        n_steps = sum(cls.model_fields[name].default for name in phases)
        return dict.fromkeys(phases, 0) | {"stage1_steps": n_steps} | values

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
        if not self.normalise and (self.augmentation == "full" or self.synthetic):
            raise ValueError(
                "raw grey values go with the affine augmentation and no synthetic "
                "images, whose values are those of normalised scans, got "
                f"{self.augmentation!r} and {self.synthetic}"
            )
        return self


PRESETS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "default": {},
        "paper": {
            "patch_size": 160,  # cell 11, and 1.5 times that for the expanded patch
            "expanded_size": 240,
            "batch_size": 4,
            "stage1_steps": 160_000,
            "stage2_steps": 0,
            "joint_steps": 0,
            "fusion": "none",
            "learning_rate": 9e-4,
            "schedule": "constant",
            "averaging": 0.0,
            "statistics": "running",
            "sampling": "windows",
            "cross_entropy": "weighted",
            "normalise": False,
            "augmentation": "affine",
            "deform": 0.2,
            "patience": 30,
            "validation_steps": 400,
        },
    }
)
"""Values of `TrainingConfig` by the name of a recipe.

``"paper"`` is the recipe of the authors' notebook (Wang et al., MIDL 2022, cells 2, 7,
10 to 12 and 33 to 46) for stage 1, the only stage whose training is public.

Theirs: the sizes of both patches; which windows are kept, every one once an epoch; raw
grey values of 8 bits; a random affine map with probability 0.2; Dice and weighted
cross-entropy on both heads with equal weight; Adam with a constant rate; batches of 4;
the weights that were best on the validation scans, and an end after 30 validations
without gain (they wait for one more). They count epochs, at most 400, and validate
after each; how many windows they kept is not published, so 400 steps an epoch are our
estimate.

Ours: the local patch is cut from the moved expanded patch, where they move the two
independently; a batch counts once in the BatchNorm statistics, where theirs counts two
to four times; the best weights are those with the greatest mean Dice of the classes
above 0 on hard labels, not with the least soft Dice loss, background included.
"""
