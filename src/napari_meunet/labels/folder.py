"""Where the labels of a scan lie."""

import re
from pathlib import Path

MANIFEST = "manifest.json"
"""What a labels folder says about itself, see `napari_meunet.labels.manifest`."""

WORKING_COPY = "labels.tif"
"""The labels in a labels folder."""

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
    return scan.with_name(f"{_IMAGE_SUFFIX.sub('', scan.name)}.meunet")


def is_labels_folder(path: Path) -> bool:
    """Return whether a labels folder lies at `path`, whatever its name."""
    return (path / MANIFEST).is_file()
