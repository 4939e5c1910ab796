"""What importing must not load: asked of a fresh interpreter."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "napari", "qtpy", "dask", "zarr")


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_by("import napari_meunet").intersection(HEAVY)


@pytest.mark.parametrize(
    "module",
    ["volume.open", "labels.store", "export.export", "network.card", "inference.plan"],
)
def test_rooms_without_a_network_load_neither_torch_nor_napari(module):
    loaded = loaded_by(f"import napari_meunet.{module}")
    assert not loaded.intersection({"torch", "napari", "qtpy"})


def test_the_command_line_loads_no_window_system_and_starts_without_torch():
    loaded = loaded_by("import napari_meunet.cli")
    assert not loaded.intersection({"torch", "napari", "qtpy"})
