"""NIR graph to network."""

from __future__ import annotations

import dataclasses
import logging
import math
import os
from collections.abc import Mapping
from typing import Any

import nir
import numpy as np
import torch
from torch import fx, nn

from .assemble import SHARED, Parts, assembled
from .errors import NIRGraphError, NotSupportedError
from .files import read_graph
from .metadata import record_of
from .nesting import Gate, flattened
from .ops.table import ImportOptions, Shape, op_of_node
from .shapes import infer_shapes, stated_shape
from .topology import Topology, analyse

__all__ = ["import_from_nir"]

logger = logging.getLogger(__name__)


def import_from_nir(
    graph: nir.NIRGraph | str | os.PathLike[str],
    dt: float = 1e-4,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    step_mode: str = "s",
    *,
    reset: str | None = None,
    threshold: str | None = None,
    cut: str = "neuron",
    if_dt: float | None = None,
) -> fx.GraphModule:
    """Turn a NIR graph into a network of step-mode layers and neurons.

    The network is called as `net(x, state=None)` and returns `(output, state)`; x is one step
    `[N, *]`, or a sequence `[T, N, *]` with `step_mode='m'`. Its modules keep their state between
    calls, `functional.reset_net(net)` clears it; a `state` passed in replaces it.

    Args:
        graph: the graph, or the path of a file with one.
        dt: seconds per step. A graph says time constants in seconds, so that with another dt than
            that of the export the same neurons take other steps; a warning is logged.
        device, dtype: of the parameters.
        step_mode: `'s'` or `'m'`.
        reset: `'hard'` or `'soft'` for all neurons; by default what the graph's metadata say, else
            `'hard'`.
        threshold: `'>'` or `'>='`, whether neurons fire only above or also at their threshold; by
            default what the graph's metadata say, else `'>'`.
        cut: where the delay of a recurrent connection sits; only `'neuron'` so far.
        if_dt: seconds per step of IF nodes, where it differs from `dt`.

    Raises:
        FileNotFoundError, NIRFileError: the file is missing or no NIR file.
        NIRGraphError: the graph is malformed; names node and field.
        NotSupportedError: valid, but not served yet or not computable with this `dt`.
        ValueError, TypeError: an argument out of range.
    """
    options = ImportOptions(
        dt=_seconds("dt", dt),
        device=torch.device(device),
        dtype=_floating(dtype),
        step_mode=_one_of("step_mode", step_mode, ("s", "m")),
        reset=_one_of("reset", reset, (None, "hard", "soft")),
        threshold=_one_of("threshold", threshold, (None, ">", ">=")),
        if_dt=None if if_dt is None else _seconds("if_dt", if_dt),
    )
    _one_of("cut", cut, ("neuron", "current"))
    if not isinstance(graph, nir.NIRGraph):
        if not isinstance(graph, str | os.PathLike):
            raise TypeError(f"graph must be a nir.NIRGraph or a path, got {type(graph).__name__}")
        graph = read_graph(graph)
    _tell_other_dt(graph, options.dt)
    flat = flattened(graph)
    _check_supported(flat.graph)
    topology = analyse(flat.graph, cut)
    shapes = infer_shapes(flat.graph, topology)
    for gate in flat.gates:
        _check_gate(gate, shapes)
    modules = _modules(flat.graph, topology, options)
    return assembled(Parts(flat.graph, topology, shapes, modules), options.step_mode)


# arguments


def _seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, got {value!r}")
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be a positive number of seconds, got {value}")
    return float(value)


def _floating(dtype: torch.dtype) -> torch.dtype:
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"dtype must be a floating-point torch dtype, got {dtype!r}")
    return dtype


def _one_of(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, got {value!r}")
    return value


# the graph


def _tell_other_dt(graph: nir.NIRGraph, dt: float) -> None:
    """NIR has no field for dt; what we export says it in the metadata."""
    exported = record_of(graph).get("dt")
    if isinstance(exported, int | float) and not math.isclose(exported, dt):
        logger.warning(
            "the graph was exported with dt=%g, which gives the network that it was made from; "
            "with dt=%g every step is another one",
            exported,
            dt,
        )


def _check_supported(graph: nir.NIRGraph) -> None:
    """Name everything that has no row in the table at once."""
    problems = [
        f"node {name!r}: {type(node).__name__} is not supported; sj_nir.register_op a row for it"
        for name, node in graph.nodes.items()
        if not isinstance(node, nir.Input | nir.Output) and op_of_node(node) is None
    ]
    if problems:
        raise NotSupportedError("\n".join(problems))


def _check_gate(gate: Gate, shapes: Mapping[str, Shape]) -> None:
    stated = None if gate.shape is None else stated_shape(gate.shape, gate.name, required=True)
    for source in gate.sources:
        if stated is not None and shapes[source] != stated:
            raise NIRGraphError(
                f"says {stated}, but gets {shapes[source]} from {source!r}",
                node=gate.name,
                field="shape",
            )


def _modules(
    graph: nir.NIRGraph, topology: Topology, options: ImportOptions
) -> dict[str, nn.Module]:
    """A module for each node; one for nodes that were one module when they were exported."""
    looped = {name: number for number, unit in enumerate(topology.loops) for name in unit}
    stepwise = dataclasses.replace(options, step_mode="s")
    modules: dict[str, nn.Module] = {}
    for name in topology.order:
        node = graph.nodes[name]
        op = op_of_node(node)
        if op is None:
            continue
        first = record_of(node).get(SHARED)
        if (
            isinstance(first, str)
            and first in modules
            and looped.get(first) == looped.get(name)
            and _same_node(graph.nodes[first], node)
        ):
            modules[name] = modules[first]
            continue
        modules[name] = op.to_module(node, name, stepwise if name in looped else options)
    return modules


def _same_node(a: nir.NIRNode, b: nir.NIRNode) -> bool:
    fields = (f.name for f in dataclasses.fields(a) if f.name not in ("metadata", "input_type"))
    return type(a) is type(b) and all(
        np.array_equal(np.asarray(getattr(a, field)), np.asarray(getattr(b, field)))
        for field in fields
        if field != "output_type"
    )
