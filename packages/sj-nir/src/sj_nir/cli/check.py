"""Whether a graph is sound, and what to watch out for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import nir
import numpy as np

from ..files import read_graph
from ..interpreter import Program, compile_graph
from ..interpreter.rule import recorded_word
from ..targets import check, get, names, report
from .options import add_dt, dt_of, nodes_without_reset, program_for_any_dt, version_of

__all__ = ["add_arguments", "execute", "warnings_of"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="NIR file")
    add_dt(parser)
    parser.add_argument(
        "--target",
        metavar="NAME",
        choices=names(),
        help="hold it against the limits of a chip too (sj-nir targets lists them); status 1 if "
        "it exceeds one",
    )
    parser.epilog = "With --dt, a graph that cannot be stepped so coarsely is an error."


def execute(args: argparse.Namespace) -> int:
    graph = read_graph(args.file)
    program = program_for_any_dt(graph)
    if args.dt is not None:
        compile_graph(graph, args.dt)
    found = list(_of_file(args.file)) + list(warnings_of(program, dt_of(graph, args.dt)))
    for warning in found:
        print(f"warning: {warning}")
    count = f"{len(found)} warning{'s' if len(found) != 1 else ''}" if found else "no warnings"
    print(f"{args.file}: ok, {count}")
    if args.target is None:
        return 0
    exceeded = check(graph, args.target)
    print(report(exceeded, get(args.target)))
    return 1 if exceeded else 0


def _of_file(path: str) -> Iterator[str]:
    if version_of(path) is None:
        yield "the file has no version; sj-nir convert writes one"
    old = nodes_without_reset(path)
    if old:
        names = ", ".join(map(repr, old))
        yield f"{names}: no v_reset in the file, read as 0; sj-nir convert writes it"


def warnings_of(program: Program, dt: float) -> Iterator[str]:
    """What is legal, but will surprise when the graph is stepped by `dt`."""
    for name, node in program.graph.nodes.items():
        for field in ("tau", "tau_syn", "tau_mem"):
            shortest = float(np.min(getattr(node, field, np.inf)))
            if shortest < dt:
                yield (
                    f"node {name!r}, field {field!r}: {shortest:.6g} s is shorter than "
                    f"dt = {dt:.6g} s; a run needs a smaller dt"
                )
        if isinstance(node, nir.IF):
            yield from _of_integrator(name, node, dt)
        if isinstance(node, nir.IF | nir.LIF | nir.CubaLIF):
            yield from _of_firing(name, node)
        if isinstance(node, nir.Delay):
            steps = np.asarray(node.delay, np.float64) / dt
            if (np.abs(steps - np.rint(steps)) > 1e-3).any():
                yield f"node {name!r}, field 'delay': rounded to whole steps of dt = {dt:.6g} s"
    for component in program.plan.components:
        biased = [
            name
            for name in component.names
            if component.cyclic and np.any(getattr(program.graph.nodes[name], "bias", 0.0))
        ]
        if biased:
            yield (
                f"node {biased[0]!r}, field 'bias': lies in a loop, so the first step depends on "
                "where the loop's delay sits (--cut)"
            )


def _of_integrator(name: str, node: Any, dt: float) -> Iterator[str]:
    if not np.allclose(np.asarray(node.r, np.float64) * dt, 1.0, rtol=1e-6):
        advice = ", --if-dt 1 if one unit per step is meant" if np.all(node.r == 1) else ""
        yield (
            f"node {name!r}, field 'r': an input of 1 adds {float(np.max(node.r)) * dt:.6g} per "
            f"step at dt = {dt:.6g} s, not 1{advice}"
        )


def _of_firing(name: str, node: Any) -> Iterator[str]:
    if (np.asarray(node.v_threshold) <= np.asarray(node.v_reset)).any():
        yield (
            f"node {name!r}, field 'v_threshold': not above v_reset, so that the neuron fires "
            "without input"
        )
    if recorded_word(node, name, "reset", ("hard", "soft")) == "soft":
        yield f"node {name!r}: its soft reset is known to this software only (metadata)"
