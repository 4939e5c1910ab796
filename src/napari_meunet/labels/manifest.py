"""What a labels folder says about itself: `manifest.json`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, JsonValue

from napari_meunet.atomic import replacing, writing
from napari_meunet.config import Frozen, LabelClass, Shape
from napari_meunet.errors import MeUNetError
from napari_meunet.labels.folder import MANIFEST
from napari_meunet.volume.volume import Affine, Spacing

FORMAT = 1
"""Version of the folder's format that this program reads and writes."""


class ScanRecord(Frozen):
    """The scan that was labelled.

    Attributes
    ----------
    name
        File name of the scan, for people.
    fingerprint
        See `napari_meunet.volume.fingerprint`; tells the scan from others wherever
        it lies.
    shape
        Voxels along (z, y, x).
    """

    name: str
    fingerprint: str
    shape: Shape


class SpacingRecord(Frozen):
    """A `napari_meunet.volume.volume.Spacing`, as JSON."""

    zyx: tuple[float, float, float]
    origin: str
    affine: Affine | None = None

    @classmethod
    def of(cls, spacing: Spacing) -> Self:
        """Return the record of a spacing."""
        return cls.model_validate(asdict(spacing))


class RunRecord(Frozen):
    """The last segmentation run.

    Attributes
    ----------
    key
        Equal for runs that give the same labels: such a run is resumed.
    description
        Checkpoint, config and whatever else the engine wants to be remembered.
    finished
        Finished planes of each column; the key of a column is the engine's own.
    """

    key: str
    description: dict[str, JsonValue]
    finished: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)


class Manifest(Frozen):
    """Everything about one segmented scan but the voxels."""

    format: int = FORMAT
    scan: ScanRecord
    spacing: SpacingRecord | None
    classes: tuple[LabelClass, ...]
    run: RunRecord | None = None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the manifest of a labels folder.

        Raises
        ------
        MeUNetError
            If `folder` is no labels folder, its manifest is damaged, or a newer
            program wrote it.
        """
        path = folder / MANIFEST
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MeUNetError(
                f"{folder} must be a labels folder with a readable {MANIFEST}, got "
                f"{error}; choose the .meunet folder beside the scan"
            ) from error
        _require_known_format(path, text)
        try:
            return cls.from_json(text)
        except MeUNetError as error:
            raise MeUNetError(
                f"{path} is damaged: {error}; restore it, the labels are untouched"
            ) from error

    def write(self, folder: Path) -> None:
        """Replace the manifest of a labels folder, wholly or not at all."""
        path = folder / MANIFEST
        with writing(path), replacing(path) as temporary:
            temporary.write_text(self.model_dump_json(indent=1), encoding="utf-8")

    def spacing_um(self) -> Spacing | None:
        """Return the spacing as the volume room knows it."""
        if self.spacing is None:
            return None
        return Spacing(**self.spacing.model_dump())


def _require_known_format(path: Path, text: str) -> None:
    """Name the format before the fields: a newer one may have others."""
    try:
        found = json.loads(text)["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise MeUNetError(
            f"{path} is damaged: it must be JSON with a format number, got {error!r}; "
            "restore it, the labels are untouched"
        ) from error
    if found != FORMAT:
        raise MeUNetError(
            f"{path} must be of format {FORMAT}, got {found!r}; update napari-meunet"
        )
