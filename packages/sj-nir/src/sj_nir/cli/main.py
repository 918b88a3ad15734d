"""Parsing and error lines of the command ``sj-nir``."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from ..errors import NIRError
from . import check, convert, diff, draw, info, quantise, run, targets

__all__ = ["main"]

Handler = Callable[[argparse.Namespace], int]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (-h shows the usage)\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Run one subcommand; bad input ends with one line on standard error and status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files and nodes may be anything
            stream.reconfigure(errors="backslashreplace")
    args = _build().parse_args(argv)
    handler: Handler = args.handler
    try:
        status = handler(args)
        if sys.stdout is not None:  # None if it was closed from the start
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`head`) left; python would complain once more when it closes the stream.
        _discard_output()
        return
    except (NIRError, OSError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            _discard_output()
        text = " ".join(str(error).split()) or "out of memory"
        print(f"sj-nir {args.command}: error: {text}", file=sys.stderr)
        raise SystemExit(2) from None
    if status:
        raise SystemExit(status)


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _build() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="sj-nir",
        description="Look at, check, run, compare and rewrite NIR graphs.",
        epilog="Nodes of nested graphs are named OUTER/INNER.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (info, check, run, diff, convert, draw, quantise, targets):
        name = module.__name__.rpartition(".")[2]
        text = (module.__doc__ or "").partition("\n")[0]
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        module.add_arguments(sub)
        sub.set_defaults(handler=module.execute)
    return parser
