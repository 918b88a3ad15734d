"""``sz-models view``: look at a recording in the browser."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..viewer import serve
from .arguments import Commands, add_command, add_recording, open_recording

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Tell argparse about the command."""
    command = add_command(commands, "view", "look at a recording in the browser", _run)
    add_recording(command)
    command.add_argument(
        "--port", type=int, default=0, metavar="N", help="port on 127.0.0.1 (default a free one)"
    )
    command.add_argument("--no-browser", action="store_true", help="only say where the page is")


def _run(arguments: argparse.Namespace) -> int:
    serve(
        open_recording(arguments),
        port=arguments.port,
        name=Path(arguments.file).name,
        open_browser=not arguments.no_browser,
        announce=lambda address: print(f"{address}  (Ctrl-C ends it)", flush=True),
    )
    return 0
