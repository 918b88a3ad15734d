"""Compute a graph on recorded input and write its outputs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import nir
import numpy as np
import torch

from ..errors import NIRError
from ..files import read_graph
from ..import_ import import_from_nir
from ..interpreter import Program, compile_graph
from ..recorded import matching_calls, record_outputs
from .arrays import DATA_SUFFIXES, read_inputs, write_outputs
from .options import InputError, add_dt, dt_of, output_path, seconds

__all__ = ["add_arguments", "execute"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", metavar="FILE", help="NIR file")
    add(
        "input",
        metavar="INPUT",
        help="[T, *] or [T, N, *] as .npy, or .npz with an array for each Input, or NIR data (.h5)",
    )
    add("output", metavar="OUTPUT", help=".npz with an array for each Output, or NIR data (.h5)")
    add_dt(parser)
    add("--reset", choices=("hard", "soft"), help="reset of all neurons (default: the graph's)")
    add("--threshold", choices=(">", ">="), help="when neurons fire (default: the graph's)")
    add(
        "--cut",
        choices=("neuron", "current"),
        default="neuron",
        help="where the delay of a loop sits (default: neuron)",
    )
    add("--if-dt", type=seconds, help="seconds per step of IF nodes (default: that of --dt)")
    add(
        "--backend",
        choices=("numpy", "torch"),
        default="numpy",
        help="compute with numpy in float64 or import into torch in float32 (default: numpy)",
    )
    add(
        "--record",
        metavar="NODE",
        action="append",
        default=[],
        help="write this node's output as NODE.out, and with numpy its states as NODE.v, NODE.h "
        "(before the reset), NODE.i; may be repeated",
    )


def execute(args: argparse.Namespace) -> int:
    output = output_path(args.output, ".npz", ".h5", ".hdf5")
    graph = read_graph(args.file)
    dt = dt_of(graph, args.dt)
    options = {"reset": args.reset, "threshold": args.threshold, "cut": args.cut}
    program = compile_graph(graph, dt, if_dt=args.if_dt, **options)
    unknown = [name for name in args.record if name not in program.graph.nodes]
    if unknown:
        raise InputError(
            f"argument --record: there is no node {unknown[0]!r}; the nodes are "
            f"{', '.join(program.graph.nodes)}"
        )
    inputs, batched = read_inputs(args.input, program, dt)
    if args.backend == "torch":
        found = _with_torch(
            graph, program, inputs, {"dt": dt, "if_dt": args.if_dt, **options}, args
        )
    else:
        found = _with_numpy(program, inputs, args.record)
    if not batched and output.suffix.lower() not in DATA_SUFFIXES:
        found = {name: value[:, 0] for name, value in found.items()}
    write_outputs(output, found, dt)
    for name, value in found.items():
        print(f"{name}: {list(value.shape)}, sum {value.sum():.6g}")
    print(output)
    return 0


def _with_numpy(
    program: Program, inputs: Mapping[str, np.ndarray], record: list[str]
) -> dict[str, np.ndarray]:
    try:
        result = program.run(inputs, record)
    except (ValueError, TypeError) as error:
        raise InputError(f"argument INPUT: {error}") from error
    traces = {
        f"{name}.{key}": found[key]
        for name, found in result.traces.items()
        for key in ("out", "v", "h", "i")
        if key in found
    }
    return {**result.outputs, **traces}


def _with_torch(
    graph: nir.NIRGraph,
    program: Program,
    inputs: Mapping[str, np.ndarray],
    options: dict[str, Any],
    args: argparse.Namespace,
) -> dict[str, np.ndarray]:
    net = import_from_nir(graph, step_mode="m", **options)
    known = matching_calls(net, program.graph.nodes)
    calls = {name: known[name] for name in args.record if name in known}
    tensors = {name: torch.from_numpy(value).float() for name, value in inputs.items()}
    try:
        recorded = record_outputs(net, tensors, calls, program.shapes)
    except NIRError:
        raise
    except (ValueError, RuntimeError) as error:
        raise InputError(f"argument INPUT: {error}") from error
    traces = {f"{name}.out": value for name, value in recorded.nodes.items()}
    missing = [name for name in args.record if f"{name}.out" not in traces]
    if missing:
        raise InputError(f"argument --record: torch has no module for node {missing[0]!r} alone")
    assert isinstance(recorded.outputs, dict)
    return {**recorded.outputs, **traces}
