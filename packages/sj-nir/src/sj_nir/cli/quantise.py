"""Round weights to the integers that a chip holds, and say what that changes."""

from __future__ import annotations

import argparse

from ..files import read_graph, write_graph
from ..interpreter import compile_graph
from ..targets import FIELDS, compare, quantise
from .arrays import read_inputs
from .options import add_dt, dt_of, output_path, seconds

__all__ = ["add_arguments", "execute"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", metavar="IN", help="NIR file")
    add("output", metavar="OUT", help="file to write")
    add("--bits", type=int, choices=range(2, 17), default=8, metavar="N", help="default: 8")
    add(
        "--per",
        choices=("tensor", "channel"),
        default="tensor",
        help="one step for each weight, or for each of its outputs (default: tensor)",
    )
    add(
        "--field",
        action="append",
        choices=FIELDS,
        help="what to round, may be repeated (default: weight)",
    )
    add(
        "--compare",
        metavar="INPUT",
        help="run both graphs on this input, as for sj-nir run, and print how they differ",
    )
    add_dt(parser)
    add("--if-dt", type=seconds, help="seconds per step of IF nodes (default: that of --dt)")


def execute(args: argparse.Namespace) -> int:
    output = output_path(args.output)
    graph = read_graph(args.file)
    made = quantise(graph, args.bits, per=args.per, fields=args.field or ("weight",))
    found = None
    if args.compare is not None:
        dt = dt_of(graph, args.dt)
        inputs, _ = read_inputs(args.compare, compile_graph(graph, dt, if_dt=args.if_dt), dt)
        found = compare(graph, made, inputs, dt, if_dt=args.if_dt)
    write_graph(output, made)
    print(output)
    if found is not None:
        print(found)
    return 0
