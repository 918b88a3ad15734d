"""What a graph holds: nodes, shapes, parameters, edges, loops, version, metadata."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import nir
import numpy as np

from ..errors import NIRError
from ..files import read_graph
from ..interpreter import Program
from .options import program_for_any_dt, version_of

__all__ = ["add_arguments", "describe", "execute", "fields_of", "plain"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="NIR file")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def execute(args: argparse.Namespace) -> int:
    found = describe(args.file)
    print(json.dumps(found) if args.json else "\n".join(_text(found)))
    return 0


def describe(path: str) -> dict[str, Any]:
    """Everything about a file in plain types; `problem` where the graph cannot be computed.

    Raises:
        NIRError, OSError: it cannot be read at all.
    """
    graph = read_graph(path)
    program: Program | None = None
    problem: str | None = None
    try:
        program = program_for_any_dt(graph)
    except NIRError as error:
        problem = " ".join(str(error).split())
    nodes = [_node(name, node, program) for name, node in _walk(graph, "")]
    order = {name: i for i, name in enumerate(program.plan.order)} if program else {}
    nodes.sort(key=lambda node: order.get(node["name"], len(order)))
    loops = [c.names for c in program.plan.components if c.cyclic] if program else []
    return {
        "file": path,
        "version": version_of(path),
        "nodes": nodes,
        "edges": [list(edge) for edge in _edges(graph, program)],
        "loops": [list(names) for names in loops],
        "numbers": sum(node["numbers"] for node in nodes),
        "metadata": plain(graph.metadata),
        "problem": problem,
    }


def _walk(graph: nir.NIRGraph, prefix: str) -> list[tuple[str, nir.NIRNode]]:
    found: list[tuple[str, nir.NIRNode]] = []
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            found += _walk(node, f"{prefix}{name}/")
        elif not (prefix and isinstance(node, nir.Input | nir.Output)):
            found.append((prefix + name, node))
    return found


def _edges(graph: nir.NIRGraph, program: Program | None) -> list[tuple[str, str]]:
    if program is None:
        return [(str(source), str(target)) for source, target in graph.edges]
    return [(s, t) for s in program.plan.order for t in program.graph.targets[s]]


def _node(name: str, node: nir.NIRNode, program: Program | None) -> dict[str, Any]:
    fields = fields_of(node)
    arrays = [v for v in fields.values() if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
    return {
        "name": name,
        "type": type(node).__name__,
        "shape": list(program.shapes[name]) if program else None,
        "fields": {key: _summary(value) for key, value in fields.items()},
        "numbers": sum(array.size for array in arrays),
        "metadata": plain(getattr(node, "metadata", {})),
    }


def fields_of(node: nir.NIRNode) -> dict[str, Any]:
    """The fields that make up a node; shapes of Inputs and Outputs as `shape`."""
    if isinstance(node, nir.Input):
        return {"shape": node.input_type["input"]}
    if isinstance(node, nir.Output):
        return {"shape": node.output_type["output"]}
    hidden = ("input_type", "output_type", "metadata")
    names = [field.name for field in dataclasses.fields(node) if field.name not in hidden]
    return {name: getattr(node, name) for name in names}


def _summary(value: Any) -> Any:
    """Short values as they are, one number for many equal ones, else shape and range."""
    if value is None or isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.dtype.kind in "iu" and array.size <= 4:
        return array.tolist()
    shape = "x".join(map(str, array.shape)) or "number"
    if not array.size:
        return f"{shape} {array.dtype}"
    low, high = float(array.min()), float(array.max())
    span = f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
    return f"{shape} {array.dtype}, {span}"


def plain(value: Any) -> Any:
    """Metadata in types that print and write as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _text(found: Mapping[str, Any]) -> list[str]:
    version = f"NIR {found['version']}" if found["version"] else "no version"
    lines = [
        f"{found['file']}: {version}, {len(found['nodes'])} nodes, {len(found['edges'])} edges, "
        f"{found['numbers']} numbers in parameters"
    ]
    names = max((len(node["name"]) for node in found["nodes"]), default=0)
    for node in found["nodes"]:
        shape = "x".join(map(str, node["shape"])) if node["shape"] is not None else "?"
        lines.append(f"  {node['name']:<{names}}  {node['type']:<9}  -> {shape or 'one number'}")
        for field, value in node["fields"].items():
            if field != "shape":
                lines.append(f"  {'':<{names}}    {field}: {value}")
        if node["metadata"]:
            lines.append(f"  {'':<{names}}    metadata: {json.dumps(node['metadata'])}")
    lines.append("edges")
    lines += [f"  {source} -> {target}" for source, target in found["edges"]]
    lines += [f"loop: {', '.join(names)}" for names in found["loops"]]
    if found["metadata"]:
        lines.append(f"metadata: {json.dumps(found['metadata'])}")
    if found["problem"]:
        lines.append(f"problem: {found['problem']}")
    return lines
