import argparse

import pytest

from napari_meunet.cli import COMMANDS
from napari_meunet.cli.console.parser import Parser


@pytest.mark.parametrize("command", COMMANDS, ids=lambda module: module.__name__)
def test_help_explains_every_option_and_says_its_default(command):
    subparsers = Parser().add_subparsers()
    command.add_parser(subparsers)
    (parser,) = subparsers.choices.values()
    for action in parser._actions:
        assert action.help, action.dest
        if action.default not in (None, False, "", argparse.SUPPRESS):
            assert "default" in action.help, action.dest
