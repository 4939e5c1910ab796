"""What a checkpoint says about itself; readable without loading torch."""

import json
import struct
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from napari_meunet.config import Calibration, Frozen, LabelClass
from napari_meunet.errors import MeUNetError

BUNDLED = "fly-phantom"
"""Name of the checkpoint that comes with the package."""

AUTHORS_SUFFIXES = (".pt", ".pth")
"""Of checkpoints in the authors' form, which have no card."""

Positive = Annotated[int, Field(gt=0)]

Size = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class NetworkConfig(Frozen):
    """The architecture of a cascade, see `napari_meunet.network.cascade`."""

    n_classes: Annotated[int, Field(ge=2, le=256)]
    features: tuple[Positive, Positive, Positive, Positive, Positive]
    refinement_features: tuple[Positive, Positive, Positive]
    fusion: Literal["post", "pre", "none"]


class IntensityRule(Frozen):
    """Percentiles of a volume that become 0 and 1 before the network.

    Values outside are clipped, so metal specks and dead pixels change nothing.
    """

    low: Annotated[float, Field(ge=0, le=100)] = 0.1
    high: Annotated[float, Field(ge=0, le=100)] = 99.9


class SpacingRange(Frozen):
    """Smallest and largest voxels, micrometres along (z, y, x)."""

    finest: tuple[Size, Size, Size]
    coarsest: tuple[Size, Size, Size]


class TrainingRecord(Frozen):
    """How a model was trained: to judge its figures, and to do it again.

    Attributes
    ----------
    specimens, validation
        Names of those that it learned from, and of those that were held out.
    config
        A `napari_meunet.config.TrainingConfig`, seed included, as it was then.
    versions
        Of the programs, by name.
    device
        Where it was computed.
    seconds
        How long it took, without interruptions; None if nobody noted it.
    """

    specimens: tuple[str, ...]
    validation: tuple[str, ...] = ()
    config: dict[str, JsonValue]
    versions: dict[str, str]
    device: str
    seconds: Annotated[float, Field(ge=0)] | None


class Card(Frozen):
    """The model card that travels inside the checkpoint.

    Attributes
    ----------
    name, version
        Of the model.
    network
        The architecture.
    classes
        What the label values mean, one for every output of the network, in order:
        background first, then ascending values.
    spacing
        Of the training volumes; None if it is not known.
    voxel_size
        Micrometres that the training volumes were brought to, as near as several
        voxels as one allow; None if they were taken as they are.
    intensity
        How intensities are scaled; None feeds raw values, as the authors did.
    data
        What the model was trained on, in a sentence.
    calibration
        How often its labels are wrong where it is unsure; None if nobody has measured
        it.
    metrics
        Figures measured on volumes that training did not learn from, by name.
    licence
        SPDX identifier, or ``"unknown"``.
    command
        The commands that made the model, in order.
    training
        The trainings that made it, likewise; empty if they are not known.
    """

    name: Annotated[str, Field(min_length=1)]
    version: str
    network: NetworkConfig
    classes: tuple[LabelClass, ...]
    spacing: SpacingRange | None = None
    voxel_size: Size | None = None
    intensity: IntensityRule | None = IntensityRule()
    data: str
    calibration: Calibration | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    licence: str
    command: tuple[str, ...] = ()
    training: tuple[TrainingRecord, ...] = ()

    @model_validator(mode="after")
    def _one_class_for_every_output(self) -> Self:
        values = [label.value for label in self.classes]
        n_outputs = self.network.n_classes
        if values[:1] != [0] or values != sorted(set(values)):
            raise ValueError(f"classes must be ascending values from 0, got {values}")
        if len(values) != n_outputs:
            raise ValueError(
                f"classes must be one for each of the {n_outputs} outputs of the "
                f"network, got {values}"
            )
        return self


def checkpoint_path(model: str | Path) -> Path:
    """Return the file of a bundled model or of a path.

    Raises
    ------
    MeUNetError
        If there is no such file.
    """
    if str(model) == BUNDLED:
        model = Path(str(files(__package__) / "bundled" / f"{BUNDLED}.safetensors"))
    path = Path(model)
    if not path.is_file():
        raise MeUNetError(
            f"the model must be {BUNDLED!r} or a checkpoint file, got {str(model)!r}; "
            "check the path"
        )
    return path


def read_card(path: Path) -> Card:
    """Return the card of a safetensors checkpoint without reading the weights.

    Raises
    ------
    MeUNetError
        If the file is not a checkpoint of ours.
    """
    with path.open("rb") as file:
        try:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, 10_000_000)))
            text = header["__metadata__"]["card"]
        except (struct.error, ValueError, KeyError, TypeError) as error:
            raise MeUNetError(
                "a model must be a .safetensors file with a card, as written by "
                f"'meunet train', got {path.name}"
            ) from error
    return Card.from_json(text)
