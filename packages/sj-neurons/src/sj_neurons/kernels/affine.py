"""A step whose input is scaled and shifted first.

    (x, v, ...) -> step(a x + b, v, ...)

a and b are two more parameters of the program, after its own: a normalisation in front of a neuron
becomes part of its kernel, which adds up the gradients of a and b along with the others.
"""

from __future__ import annotations

import warnings
from functools import cache, lru_cache

import torch

from .compile_cpp import CompilerError
from .graph import Graph, Program
from .select import _compiled

__all__ = ["affine_program", "with_affine_input"]


@lru_cache(maxsize=1024)
def with_affine_input(program: str) -> str:
    """Text of the program that sees a x + b where the one with this text sees x."""
    before = Program.from_text(program)
    a, b = (f"p{before.parameters + i}" for i in range(2))
    graph = Graph()
    place: dict[int, int] = {}
    for index, node in enumerate(before.nodes):
        if node.op == "input" and node.value == "x":
            scaled = graph.op("mul", graph.input("x"), graph.input(a))
            place[index] = graph.op("add", scaled, graph.input(b))
        elif node.op == "input":
            place[index] = graph.input(str(node.value))
        elif node.op == "literal":
            place[index] = graph.literal(float(node.value))
        else:
            place[index] = graph.op(node.op, *(place[i] for i in node.args))
    outputs = [place[i] for i in before.outputs]
    return Program.of(graph, outputs, before.numbers, before.parameters + 2).text


@lru_cache(maxsize=1024)
def affine_program(program: str, backend: str, device: str, dtype: torch.dtype) -> str | None:
    """:func:`with_affine_input`, or None if its kernels cannot be compiled, which is told once."""
    made = with_affine_input(program)
    if backend == "cpp" and device == "cpu" and not (_compiled(made, dtype) and _has_channels()):
        return None
    return made


@cache
def _has_channels() -> bool:
    """Whether the kernels over channels are there, compiled now if need be."""
    from . import channels_cpp

    try:
        channels_cpp.prepare()
    except CompilerError as error:
        warnings.warn(
            f"BatchNorm is not fused with neurons, its kernels cannot be compiled: {error}",
            stacklevel=2,
        )
        return False
    return True
