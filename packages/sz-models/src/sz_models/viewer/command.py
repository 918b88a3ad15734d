"""The command ``sz-models view FILE.dat --height H --width W``."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_command"]


def add_command(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``view`` to the commands; its ``run`` takes the arguments and gives the exit status."""
    command = commands.add_parser("view", help="look at a recording in the browser")
    command.set_defaults(run=_view)
    command.add_argument("file", metavar="FILE.dat", help="spike-camera recording")
    command.add_argument("--height", type=int, required=True, help="rows of a frame")
    command.add_argument("--width", type=int, required=True, help="columns of a frame")
    command.add_argument(
        "--port", type=int, default=0, metavar="N", help="port on 127.0.0.1 (default: a free one)"
    )
    command.add_argument("--no-browser", action="store_true", help="only say where the page is")
    command.add_argument(
        "--no-strict", action="store_true", help="drop an incomplete last frame of the file"
    )


def _view(arguments: argparse.Namespace) -> int:
    from .server import serve

    serve(
        arguments.file,
        arguments.height,
        arguments.width,
        arguments.port,
        open_browser=not arguments.no_browser,
        strict=not arguments.no_strict,
        announce=lambda address: print(f"{address}  (Ctrl-C ends it)", flush=True),
    )
    return 0
