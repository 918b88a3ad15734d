"""Parsing and error lines of the command ``sj-train``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from ..errors import TrainError
from ..one_line_parser import OneLineParser
from . import evaluate, export, merge, plot, run, summary

__all__ = ["main"]

Handler = Callable[[argparse.Namespace, list[str]], None]


def main(argv: Sequence[str] | None = None) -> None:
    """Run one subcommand; bad input ends with one line on standard error and status 2."""
    args, rest = _build().parse_known_args(argv)
    handler: Handler = args.handler
    if rest and not args.passes_options:
        _end(args.command, f"unknown arguments: {' '.join(rest)}")
    try:
        handler(args, rest)
    except TrainError as error:
        _end(args.command, " ".join(str(error).split()))
    except BrokenPipeError:
        # The reader (`head`) left; python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(command: str, message: str) -> NoReturn:
    print(f"sj-train {command}: error: {message}", file=sys.stderr)
    raise SystemExit(2)


def _build() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="sj-train",
        description="Train, evaluate and export spiking networks.",
        epilog="TARGET is a recipe, FILE.py[:Class] or module[:Class] with a Trainer subclass; "
        "further options go to it.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module, name, passes in (
        (run, "run", True),
        (evaluate, "evaluate", True),
        (export, "export", True),
        (merge, "merge", False),
        (plot, "plot", False),
        (summary, "summary", False),
    ):
        text = (module.__doc__ or "").partition("\n")[0]
        # The help of `run TARGET -h` is the target's own.
        sub = commands.add_parser(
            name, help=text, description=text, add_help=name != "run", allow_abbrev=False
        )
        module.add_arguments(sub)
        sub.set_defaults(handler=module.execute, passes_options=passes)
    return parser
