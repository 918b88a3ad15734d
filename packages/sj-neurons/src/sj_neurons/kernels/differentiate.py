"""Reverse-mode differentiation of a program: from one step to its adjoint step.

For outputs (s, v') of a step (x, v) -> (s, v') and incoming gradients gs = dL/ds, gv = dL/dv', the
adjoint step computes dL/dx, dL/dv and the step's share of dL/dp. A spike s = fire(u) passes
gs g'(u) on to u, with g' the derivative of the surrogate; `detach` passes nothing on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .graph import Graph, Program

__all__ = ["Adjoint", "differentiate"]


@dataclass(frozen=True)
class Adjoint:
    """The adjoint step, in a graph that continues the program's own.

    Its inputs are those of the program and `gs`, `g0 g1 ...`. A gradient that is 0 whatever the
    inputs is None.
    """

    graph: Graph
    primal: int  # nodes before this one are those of the program
    x: int | None
    states: tuple[int | None, ...]
    parameters: tuple[int | None, ...]

    @property
    def outputs(self) -> list[int]:
        """All gradients that are not 0."""
        return [i for i in (self.x, *self.states, *self.parameters) if i is not None]

    def needed(self) -> set[int]:
        """The nodes of the program whose values the adjoint step uses."""
        reached = self.graph.reached_from(self.outputs, values=True)
        later = [i for i in reached if i >= self.primal]
        used = {j for i in later for j in self.graph.nodes[i].args if j < self.primal}
        return used | {i for i in self.outputs if i < self.primal}


class _Builder:
    """Arithmetic on gradients, where None is 0."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def op(self, name: str, *args: int) -> int:
        return self.graph.op(name, *args)

    def number(self, value: float) -> int:
        return self.graph.literal(value)

    def add(self, a: int | None, b: int | None) -> int | None:
        if a is None or b is None:
            return b if a is None else a
        return self.op("add", a, b)

    def choose(self, condition: int, a: int | None, b: int | None) -> int:
        zero = self.number(0.0)
        return self.op("where", condition, zero if a is None else a, zero if b is None else b)


Rule = Callable[[_Builder, int, int, tuple[int, ...]], tuple["int | None", ...]]


def _div(b: _Builder, g: int, y: int, args: tuple[int, ...]) -> tuple[int, ...]:
    numerator = b.op("div", g, args[1])
    return numerator, b.op("neg", b.op("mul", numerator, y))


def _pow(b: _Builder, g: int, y: int, args: tuple[int, ...]) -> tuple[int | None, ...]:
    base, exponent = args
    node, zero = b.graph.nodes[exponent], b.number(0.0)
    if node.op == "literal":
        n = float(node.value)
        slope = b.op("mul", exponent, b.op("pow", base, b.number(n - 1.0)))
        return (None if n == 0.0 else b.op("mul", g, slope)), None
    reduced = b.op("sub", exponent, b.number(1.0))
    slope = b.op("mul", exponent, b.op("pow", base, reduced))
    to_base = b.op("mul", g, b.choose(b.op("eq", exponent, zero), None, slope))
    to_exponent = b.op("mul", g, b.op("mul", y, b.op("log", base)))
    stays_zero = b.op("and", b.op("eq", base, zero), b.op("ge", exponent, zero))
    return to_base, b.choose(stays_zero, None, to_exponent)


def _extremum(loses: str) -> Rule:
    """The gradient goes to the argument that does not lose, in halves to equal ones."""

    def rule(b: _Builder, g: int, y: int, args: tuple[int, ...]) -> tuple[int, ...]:
        share = b.op("where", b.op("eq", *args), b.op("mul", g, b.number(0.5)), g)
        return (
            b.choose(b.op(loses, args[0], args[1]), None, share),
            b.choose(b.op(loses, args[1], args[0]), None, share),
        )

    return rule


def _one_minus(b: _Builder, y: int) -> int:
    return b.op("sub", b.number(1.0), y)


_RULES: dict[str, Rule] = {
    "neg": lambda b, g, y, a: (b.op("neg", g),),
    "add": lambda b, g, y, a: (g, g),
    "sub": lambda b, g, y, a: (g, b.op("neg", g)),
    "mul": lambda b, g, y, a: (b.op("mul", g, a[1]), b.op("mul", g, a[0])),
    "div": _div,
    "exp": lambda b, g, y, a: (b.op("mul", g, y),),
    "log": lambda b, g, y, a: (b.op("div", g, a[0]),),
    "pow": _pow,
    "sin": lambda b, g, y, a: (b.op("mul", g, b.op("cos", a[0])),),
    "cos": lambda b, g, y, a: (b.op("neg", b.op("mul", g, b.op("sin", a[0]))),),
    "tanh": lambda b, g, y, a: (b.op("mul", g, _one_minus(b, b.op("mul", y, y))),),
    "sigmoid": lambda b, g, y, a: (b.op("mul", g, b.op("mul", _one_minus(b, y), y)),),
    "atan": lambda b, g, y, a: (
        b.op("div", g, b.op("add", b.op("mul", a[0], a[0]), b.number(1.0))),
    ),
    "erf": lambda b, g, y, a: (
        b.op("mul", g, b.op("mul", b.number(2.0 / math.sqrt(math.pi)),
             b.op("exp", b.op("neg", b.op("mul", a[0], a[0]))))),
    ),
    "abs": lambda b, g, y, a: (b.op("mul", g, b.op("sign", a[0])),),
    "sign": lambda b, g, y, a: (None,),
    "round": lambda b, g, y, a: (None,),
    "minimum": _extremum("gt"),
    "maximum": _extremum("lt"),
    "where": lambda b, g, y, a: (None, b.choose(a[0], g, None), b.choose(a[0], None, g)),
    "fire": lambda b, g, y, a: (None, b.op("mul", g, a[2]), None),
    "detach": lambda b, g, y, a: (None,),
}  # fmt: skip


def differentiate(program: Program) -> Adjoint:
    """The adjoint step of `program`."""
    graph = program.graph()
    primal = len(graph)
    builder = _Builder(graph)
    incoming = ["gs", *(f"g{i}" for i in range(program.states))]
    gradients: dict[int, int | None] = {}
    varies = _varying(program)
    for name, output in zip(incoming, program.outputs, strict=True):
        if output in varies:
            gradients[output] = builder.add(gradients.get(output), graph.input(name))
    found: dict[str, int | None] = {}
    for index in range(primal - 1, -1, -1):
        gradient, node = gradients.get(index), program.nodes[index]
        if gradient is None:
            continue
        if node.op == "input":
            found[str(node.value)] = gradient
            continue
        shares = _RULES[node.op](builder, gradient, index, node.args)
        for operand, share in zip(node.args, shares, strict=True):
            if share is not None and operand in varies:
                gradients[operand] = builder.add(gradients.get(operand), share)
    return Adjoint(
        graph=graph,
        primal=primal,
        x=found.get("x"),
        states=tuple(found.get(f"v{i}") for i in range(program.states)),
        parameters=tuple(found.get(f"p{i}") for i in range(program.parameters)),
    )


def _varying(program: Program) -> set[int]:
    """Nodes that a gradient may pass on its way to the input, a state or a parameter."""
    varying: set[int] = set()
    for index, node in enumerate(program.nodes):
        if node.op == "input":
            if not str(node.value).startswith("k"):
                varying.add(index)
        elif node.op == "fire":
            if node.args[1] in varying:
                varying.add(index)
        elif node.op not in ("detach", "sign", "round") and not node.is_truth:
            operands = node.args[1:] if node.op == "where" else node.args
            if any(i in varying for i in operands):
                varying.add(index)
    return varying
