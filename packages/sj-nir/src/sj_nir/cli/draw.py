"""A picture of a graph as SVG."""

from __future__ import annotations

import argparse

from ..drawing import to_svg
from ..files import atomic_path
from .options import output_path

__all__ = ["add_arguments", "execute"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="NIR file")
    parser.add_argument("output", metavar="OUT.svg", help="file to write")


def execute(args: argparse.Namespace) -> int:
    output = output_path(args.output, ".svg")
    picture = to_svg(args.file)
    with atomic_path(output) as temporary:
        temporary.write_text(picture, encoding="utf-8")
    print(output)
    return 0
