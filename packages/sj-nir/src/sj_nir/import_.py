"""NIR graph to network."""

from __future__ import annotations

import keyword
import math
import operator
import os
import re
from collections.abc import Iterable
from typing import Any, Dict  # noqa: UP035

import nir
import torch
from torch import fx, nn

from .errors import NotSupportedError
from .files import read_graph
from .imported import META, ImportedNet
from .ops.table import ImportOptions, op_of_node
from .shapes import infer_shapes
from .topology import Topology, analyse, check_edges

__all__ = ["import_from_nir"]


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
        dt: seconds per step.
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
    if _one_of("cut", cut, ("neuron", "current")) == "current":
        raise NotSupportedError("cut='current' is not supported yet; leave it at 'neuron'")
    if not isinstance(graph, nir.NIRGraph):
        if not isinstance(graph, str | os.PathLike):
            raise TypeError(f"graph must be a nir.NIRGraph or a path, got {type(graph).__name__}")
        graph = read_graph(graph)
    check_edges(graph)
    _check_supported(graph)
    topology = analyse(graph)
    infer_shapes(graph, topology)
    modules = {
        name: op.to_module(graph.nodes[name], name, options)
        for name in topology.order
        if (op := op_of_node(graph.nodes[name])) is not None
    }
    return _assembled(graph, topology, modules)


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


def _check_supported(graph: nir.NIRGraph) -> None:
    """Name everything that has no row in the table at once."""
    problems = [
        f"node {name!r}: {'a nested graph' if isinstance(node, nir.NIRGraph) else kind} "
        "is not supported yet"
        for name, node in graph.nodes.items()
        if not isinstance(node, nir.Input | nir.Output) and op_of_node(node) is None
        for kind in [type(node).__name__]
    ]
    for kind in (nir.Input, nir.Output):
        names = [repr(name) for name, node in graph.nodes.items() if isinstance(node, kind)]
        if len(names) > 1:
            problems.append(
                f"nodes {', '.join(names)}: more than one {kind.__name__} is not supported yet"
            )
    if problems:
        raise NotSupportedError("\n".join(problems))


def _assembled(
    graph: nir.NIRGraph, topology: Topology, modules: dict[str, nn.Module]
) -> ImportedNet:
    """The network whose generated code reads like the graph."""
    attributes = _attribute_names(modules)
    flow = fx.Graph()
    values: dict[str, fx.Node] = {}
    order = sorted(topology.order, key=lambda name: not isinstance(graph.nodes[name], nir.Input))
    state: fx.Node | None = None
    for name in order:
        if isinstance(graph.nodes[name], nir.Input):
            values[name] = flow.create_node("placeholder", "input", name=_identifier(name))
            continue
        if state is None:
            state = flow.placeholder("state", Dict[str, Any], default_value=None)  # noqa: UP006
        value = _sum(flow, [values[source] for source in topology.sources[name]])
        if isinstance(graph.nodes[name], nir.Output):
            flow.output((value, state))
        else:
            attribute = attributes[name]
            values[name] = flow.create_node("call_module", attribute, args=(value,), name=attribute)
    net = ImportedNet({attributes[name]: module for name, module in modules.items()}, flow)
    net.meta[META] = {name: attributes.get(name) for name in order}
    return net


def _sum(flow: fx.Graph, values: list[fx.Node]) -> fx.Node:
    total = values[0]
    for value in values[1:]:
        total = flow.call_function(operator.add, (total, value))
    return total


def _identifier(name: str) -> str:
    word = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    word = f"_{word}" if word[0].isdigit() else word
    return f"{word}_" if keyword.iskeyword(word) or word in ("self", "state") else word


def _attribute_names(names: Iterable[str]) -> dict[str, str]:
    """A valid, free attribute name of a module for each node."""
    found: dict[str, str] = {}
    empty = ImportedNet(nn.Module(), fx.Graph())
    for name in names:
        attribute = _identifier(name)
        while attribute in found.values() or hasattr(empty, attribute):
            attribute += "_"
        found[name] = attribute
    return found
