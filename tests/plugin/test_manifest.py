"""What the plugin tells napari about itself."""

import subprocess
import sys
from importlib import import_module
from importlib.resources import files

import pytest
from npe2 import PluginManifest

MANIFEST = PluginManifest.from_file(str(files("napari_meunet.plugin") / "napari.yaml"))


def test_the_installed_package_has_this_manifest():
    installed = PluginManifest.from_distribution("napari-meunet")
    assert installed.contributions == MANIFEST.contributions
    assert installed.display_name == "meU-net"


@pytest.mark.parametrize(
    "name", [command.python_name for command in MANIFEST.contributions.commands]
)
def test_every_command_is_there(name):
    module, _, attribute = name.partition(":")
    assert callable(getattr(import_module(module), attribute))


def test_npe2_finds_nothing_wrong():
    MANIFEST.validate_imports()


def test_every_menu_is_one_that_napari_opens_to_plugins():
    from napari._app_model.constants import MenuId

    for menu in MANIFEST.contributions.menus:
        assert MenuId(menu) in MenuId.contributables()


def test_no_contribution_waits_for_torch():
    commands = MANIFEST.contributions.commands
    modules = {command.python_name.partition(":")[0] for command in commands}
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_torch_works_when_it_was_imported_beside_the_window():
    code = (
        "from napari_meunet.plugin.torch_import import import_torch; import_torch();"
        "import torch; assert (torch.ones(2) + 1).tolist() == [2, 2]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
