"""Command line: ``sz-models reconstruct | compare | list | info | simulate | bench | view``.

Errors are one line on stderr and exit status 2; nothing is written then.  Each command is a module
that tells argparse about itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from .. import __version__
from . import bench, compare, info, methods, reconstruct, simulate, view
from .arguments import Parser

__all__ = ["main"]

_COMMANDS = (
    reconstruct.add,
    compare.add,
    methods.add,
    info.add,
    simulate.add,
    bench.add,
    view.add,
)
_INTERRUPTED = 130
_CLOSED_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        status = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE
    except MemoryError as error:
        return _failed(f"not enough memory: {error}")
    except (ImportError, OSError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        _failed("interrupted; nothing was written")
        return _INTERRUPTED


def _failed(message: str) -> int:
    # The message may quote a library's text that spans lines.
    print(f"sz-models: error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _parser() -> Parser:
    parser = Parser(
        prog="sz-models", description="Spike-camera streams to images.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"sz-models {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in _COMMANDS:
        add(commands)
    return parser
