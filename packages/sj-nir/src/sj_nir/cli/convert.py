"""Rewrite a file in the newest layout: version, v_reset, shapes, one number for each neuron."""

from __future__ import annotations

import argparse

from ..files import read_graph, write_graph
from ..rewrite import completed, without_nesting
from .options import output_path

__all__ = ["add_arguments", "execute"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="IN", help="NIR file of any version")
    parser.add_argument("output", metavar="OUT", help="file to write; may be IN")
    parser.add_argument(
        "--flatten", action="store_true", help="put the nodes of nested graphs into the graph"
    )


def execute(args: argparse.Namespace) -> int:
    output = output_path(args.output)
    graph = completed(read_graph(args.file))
    if args.flatten:
        graph = without_nesting(graph)
    write_graph(output, graph)
    print(output)
    return 0
