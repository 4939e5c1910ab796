"""Labels into a file, in the format that its suffix names."""

from pathlib import Path

from napari_meunet.atomic import replacing, writing
from napari_meunet.config import LabelClass
from napari_meunet.errors import MeUNetError
from napari_meunet.export.nifti import write_nifti
from napari_meunet.export.ome_zarr import write_ome_zarr
from napari_meunet.export.tiff import write_tiff
from napari_meunet.labels.folder import WORKING_COPY, is_labels_folder
from napari_meunet.progress import Steps
from napari_meunet.volume.volume import Planes, Spacing

SUFFIXES = (
    ".ome.tif",
    ".ome.tiff",
    ".ome.zarr",
    ".nii.gz",
    ".tif",
    ".tiff",
    ".nii",
    ".zarr",
)
"""Formats that `export_labels` writes, the more special suffix first."""


def export_labels(
    labels: Planes,
    path: Path,
    spacing: Spacing | None,
    *,
    classes: tuple[LabelClass, ...] = (),
    overwrite: bool = False,
) -> Steps:
    """Write labels plane by plane; the file appears whole or not at all.

    Parameters
    ----------
    labels
        Integers or booleans ``(z, y, x)``: anything with shape, dtype and indexing.
    path
        Its suffix, one of `SUFFIXES`, chooses the format.
    spacing
        None writes a file that claims no size of voxels.
    classes
        Names and colours, for formats that hold them.
    overwrite
        Replace what lies at `path`.

    Yields
    ------
    Progress
        Finished planes.

    Raises
    ------
    MeUNetError
        If the suffix is unknown, the labels are not a volume of integers, `path`
        exists or is the working copy in a labels folder, or it cannot be written. All
        but the last at once, not at the first step.
    """
    suffix = next((s for s in SUFFIXES if path.name.lower().endswith(s)), None)
    if suffix is None:
        raise MeUNetError(
            f"the file must end in one of {', '.join(sorted(SUFFIXES))}, got "
            f"{path.name}; choose a format by its suffix"
        )
    if labels.dtype.kind not in "uib" or len(labels.shape) != 3:
        raise MeUNetError(
            f"labels must be integers (z, y, x), got {labels.dtype} of shape "
            f"{labels.shape}; export a labels layer"
        )
    require_absent(path, overwrite=overwrite)
    if path.name == WORKING_COPY and is_labels_folder(path.parent):
        raise MeUNetError(
            f"an export must not replace the working copy of the labels, got {path}; "
            "choose another name"
        )
    return _export(labels, path, suffix, spacing, classes)


def require_absent(path: Path, *, overwrite: bool) -> None:
    """Refuse to replace what lies at `path` unless told so.

    Raises
    ------
    MeUNetError
        If there is something and `overwrite` is False.
    """
    if path.exists() and not overwrite:
        raise MeUNetError(
            f"{path} must not exist yet, got an existing one; choose another name, or "
            "allow overwriting (--overwrite)"
        )


def _export(
    labels: Planes,
    path: Path,
    suffix: str,
    spacing: Spacing | None,
    classes: tuple[LabelClass, ...],
) -> Steps:
    with writing(path), replacing(path) as temporary:
        if suffix.endswith(".zarr"):
            yield from write_ome_zarr(labels, temporary, spacing, classes)
        elif suffix.startswith(".nii"):
            yield from write_nifti(labels, temporary, spacing)
        else:
            yield from write_tiff(
                labels, temporary, spacing, ome=suffix.startswith(".ome")
            )
