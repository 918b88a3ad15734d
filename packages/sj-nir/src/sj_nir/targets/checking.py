"""A graph held against a target."""

from __future__ import annotations

import copy
import os

import nir

from ..files import read_graph
from ..interpreter import Program, SingleNumberError, compile_graph
from ..rewrite import SHORTEST_STEP, completed
from . import rules
from .families import get
from .target import Finding, Limit, Target

__all__ = ["check"]


def check(graph: nir.NIRGraph | str | os.PathLike[str], target: str | Target) -> list[Finding]:
    """What in a graph violates the limits of a target; nothing found is no promise that it fits.

    Args:
        graph: the graph, which stays as it is, or the path of a file with one.
        target: its name (:func:`sj_nir.targets.names`), or a target of one's own.

    Raises:
        FileNotFoundError, NIRFileError: the file is missing or no NIR file.
        NIRGraphError: the graph is malformed; names node and field.
        NotSupportedError: a nested graph with several Inputs or Outputs, 'same' with a stride.
        ValueError, TypeError: `target` is not known, or something else.
    """
    if isinstance(target, str):
        target = get(target)
    elif not isinstance(target, Target):
        raise TypeError(f"target must be a name or a Target, got {type(target).__name__}")
    program = _program(graph)
    limits = target.limits
    if target.nodes is not None:
        limits = (
            Limit("type of node", target.nodes, "", target.nodes_source, rules.node_types),
            *limits,
        )
    return [finding for limit in limits for finding in limit.rule(program, limit)]


def _program(graph: nir.NIRGraph | str | os.PathLike[str]) -> Program:
    if isinstance(graph, str | os.PathLike):
        graph = read_graph(graph)
    try:
        return compile_graph(graph, SHORTEST_STEP)
    except SingleNumberError:  # as older writers left them; not what this check is about
        return compile_graph(completed(copy.deepcopy(graph)), SHORTEST_STEP)
