"""Writes labels when napari saves a layer; napari's own writer loses the spacing."""

from pathlib import Path
from typing import Any

from napari_meunet.export.export import export_labels
from napari_meunet.plugin.layers import labels_of


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a labels layer in its own data type, with spacing and unit.

    Parameters
    ----------
    path
        The suffix chooses the format; an existing file is replaced, for napari has
        asked already.
    data, attributes
        Of the layer.

    Returns
    -------
    list of str
        The path.
    """
    array, spacing, classes = labels_of(data, attributes)
    steps = export_labels(array, Path(path), spacing, classes=classes, overwrite=True)
    for _ in steps:
        pass
    return [path]
