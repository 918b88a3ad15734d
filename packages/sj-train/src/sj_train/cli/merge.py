"""A checkpoint whose values lie in a folder beside it (``--parallel fsdp``), as one file."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..checkpoint import merge_checkpoint

__all__ = ["add_arguments", "execute"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="the .pth file")
    parser.add_argument("--output", help="file to write (default: CHECKPOINT with _merged)")


def execute(args: argparse.Namespace, words: list[str]) -> None:
    source = Path(args.checkpoint)
    output = Path(args.output or source.with_stem(f"{source.stem}_merged"))
    merge_checkpoint(source, output)
    print(output)
