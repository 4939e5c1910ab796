"""The command line: `meunet COMMAND …`."""

import logging
import signal
import sys
from collections.abc import Sequence

from napari_meunet import __version__
from napari_meunet.cli import (
    correct,
    demo,
    doctor,
    evaluate,
    export,
    info,
    learn,
    phantom,
    segment,
    train,
)
from napari_meunet.cli.console.parser import Parser
from napari_meunet.errors import MeUNetError

COMMANDS = (
    segment,
    correct,
    learn,
    export,
    info,
    phantom,
    evaluate,
    train,
    doctor,
    demo,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0 is success, 1 a finding (of `meunet doctor` or `meunet learn`), 2 a mistake of the
    user, told in one line on standard error, 130 an interruption.
    """
    options = _parser().parse_args(arguments)
    # Without a handler, what tifffile logs of a damaged scan goes to standard error.
    logging.getLogger().addHandler(logging.NullHandler())
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as for Ctrl-C
    try:
        return int(options.run(options) or 0)
    except MeUNetError as error:
        sys.stderr.write(f"meunet: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"meunet: interrupted{options.to_go_on(options)}\n")
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has left
        sys.stderr.close()
        return 0


def _parser() -> Parser:
    parser = Parser(
        prog="meunet",
        description="Segment microCT volumes larger than memory.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(title="commands", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    parser.set_defaults(to_go_on=lambda _: "")  # said of commands that can
    return parser
