"""Where the labels of a scan lie."""

import re
from pathlib import Path

MANIFEST = "manifest.json"
"""What a labels folder says about itself, see `napari_meunet.labels.manifest`."""

WORKING_COPY = "labels.tif"
"""The labels in a labels folder."""

LABELS_FOLDER_SUFFIX = ".meunet"
"""Ends the name of a labels folder, unless a person chose another name."""

_IMAGE_SUFFIX = re.compile(
    r"(\.ome)?\.(tiff?|btf|zarr|n5|nii(\.gz)?|nrrd|nhdr|mha|mhd|npy|h5|hdf5|hdf"
    r"|nxs|raw|vol|txm|txrm|dcm)$",
    re.IGNORECASE,
)


def labels_folder(scan: Path) -> Path:
    """Return ``<scan without its image suffix>.meunet``, beside the scan.

    ``M1.nii.gz`` gives ``M1.meunet``, ``fly.ome.tif`` ``fly.meunet``, a folder
    ``slices`` ``slices.meunet``. Scans that differ only in the suffix share the
    folder's name; the fingerprint in the manifest keeps them apart.
    """
    scan = scan.absolute()
    return scan.with_name(f"{scan_name(scan)}{LABELS_FOLDER_SUFFIX}")


def scan_name(scan: Path) -> str:
    """Return the name of a scan without its image suffix, ``fly`` of ``fly.ome.tif``.

    A name without one is returned as it is.
    """
    return _IMAGE_SUFFIX.sub("", scan.name)


def is_labels_folder(path: Path) -> bool:
    """Return whether a labels folder lies at `path`, whatever its name."""
    return (path / MANIFEST).is_file()
