"""From a neuron to the program of its step.

The very step that runs on tensors runs once on symbols. What the neuron learns (and every tensor
among its attributes) is constant in time, so expressions of such tensors alone are left to torch:
it evaluates them once per call, and its autograd takes their gradient from there. A kernel sees the
results as parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .. import ops
from .graph import Graph, Node, Program
from .symbols import Recorder, Scalar, Symbol, TraceError

if TYPE_CHECKING:
    from ..neuron.base import BaseNode

__all__ = ["Trace", "state_names", "trace"]


@dataclass(frozen=True)
class Trace:
    """A program, and how to fill it for the neuron that it was traced from."""

    program: Program
    numbers: tuple[float, ...]
    reads: tuple[tuple[Any, str, Any], ...]
    step: Graph  # the whole step, from which torch evaluates what is constant in time
    constant: tuple[int, ...]  # nodes of `step` that are the program's parameters
    values: dict[str, float]  # numbers of `step` by origin

    def still_holds(self) -> bool:
        """Whether everything that the step read has the value it had."""
        for owner, name, value in self.reads:
            now = getattr(owner, name, None)
            if now is not value and not (type(now) is type(value) and now == value):
                return False
        return True

    def parameters(self, owner: BaseNode, dim: int, dtype: torch.dtype) -> list[Tensor]:
        """The program's parameters, each broadcasting to a step `[N, *]` of `dim` dimensions."""
        results: dict[int, Any] = {}
        for index in self.step.reached_from(self.constant):
            node = self.step.nodes[index]
            if node.op == "literal":
                results[index] = node.value
            elif node.op == "input":
                kind, _, name = str(node.value).partition(":")
                is_tensor = kind == "t"
                results[index] = owner.step_tensor(name, dim) if is_tensor else self.values[name]
            else:
                results[index] = _ON_TENSORS[node.op](*(results[i] for i in node.args))
        return [results[index].to(dtype) for index in self.constant]


_ON_TENSORS: dict[str, Any] = {
    "neg": torch.neg, "add": lambda a, b: a + b, "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b, "div": lambda a, b: a / b, "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "not": torch.logical_not,
    "and": torch.logical_and, "or": torch.logical_or,
    **{name: getattr(ops, name) for name in (
        "exp", "log", "pow", "sin", "cos", "tanh", "sigmoid", "atan", "erf", "abs", "sign",
        "round", "minimum", "maximum", "where", "detach",
    )},
}  # fmt: skip


def state_names(node: BaseNode) -> tuple[str, ...]:
    """What the step takes and returns beside input and output."""
    return tuple(node._memories) if node._overrides_hooks else tuple(node.states)


def trace(node: BaseNode) -> Trace:
    """The program of the step of `node`, with the present values of its attributes.

    Raises:
        TraceError: the step is no scalar recurrence, or not written in the vocabulary; says why.
    """
    recorder = Recorder()
    names = state_names(node)
    double = _double(node, recorder, names)
    before = dict(vars(double))
    try:
        outputs = _run(double, recorder, names)
        indices = [recorder.number(output) for output in outputs]
    except TraceError as error:
        raise TraceError(f"the step of {type(node).__name__} cannot be fused: {error}") from error
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise TraceError(
            f"the step of {type(node).__name__} cannot be fused: it raises "
            f"{type(error).__name__} on symbols: {error}"
        ) from error
    for name, value in vars(double).items():
        if name not in before or before[name] is not value:
            raise TraceError(
                f"the step of {type(node).__name__} cannot be fused: it sets the attribute "
                f"{name!r}, which a kernel would not; make it a state"
            )
    return _closed(recorder, indices)


def _double(node: BaseNode, recorder: Recorder, names: Sequence[str]) -> BaseNode:
    """A copy of `node` whose tensors and numbers are symbols and scalars, and that notes reads."""
    cls = type(node)

    def noting(self: Any, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if not name.startswith("_") and name in vars(node):
            recorder.read(node, name, vars(node)[name])
        return value

    double = object.__new__(type(cls.__name__, (cls,), {"__getattribute__": noting}))
    own = vars(double)
    for name, value in vars(node).items():
        own[name] = Scalar(value, name) if type(value) is float else value
    tensors = {**node._parameters, **node._buffers, **vars(node)}
    for name, value in tensors.items():
        if isinstance(value, Tensor):
            own[name] = recorder.input(f"t:{name}")
    own["_memories"] = dict(node._memories)
    for i, name in enumerate(names):
        if not isinstance(node._memories[name], int | float | Tensor):
            raise TraceError(
                f"the step of {cls.__name__} cannot be fused: its state {name!r} is "
                f"{node._memories[name]!r}, not a number"
            )
        own["_memories"][name] = recorder.input(f"v{i}")
    return double


def _run(double: BaseNode, recorder: Recorder, names: Sequence[str]) -> tuple[Any, ...]:
    x = recorder.input("x")
    if double._overrides_hooks:
        spike = double._hooked_step(x)  # pyright: ignore[reportArgumentType]
        return spike, *(double._memories[name] for name in names)
    outputs = double.step(x, *(double._memories[name] for name in names))
    if not isinstance(outputs, tuple) or len(outputs) != 1 + len(names):
        raise TraceError(f"it must return a tuple (spike, {', '.join(names)})")
    return outputs


def _closed(recorder: Recorder, outputs: list[int]) -> Trace:
    """The trace with what is constant in time cut off and numbers in order of use."""
    step = recorder.graph
    constant = _constant(step)
    reached = step.reached_from(outputs)
    graph = Graph()
    place: dict[int, int] = {}
    parameters: list[int] = []
    numbers: list[float] = []
    numbered: dict[str, int] = {}

    def placed(index: int) -> int:
        if index not in place:
            place[index] = _place(index)
        return place[index]

    def _place(index: int) -> int:
        node = step.nodes[index]
        if index in constant:
            parameters.append(index)
            return graph.input(f"p{len(parameters) - 1}")
        if node.op == "input" and str(node.value).startswith("k:"):
            origin = str(node.value)[2:]
            if origin not in numbered:
                numbered[origin] = len(numbers)
                numbers.append(recorder.numbers[origin])
            return graph.input(f"k{numbered[origin]}")
        if node.op == "input":
            return graph.input(str(node.value))
        if node.op == "literal":
            return graph.literal(float(node.value))
        return graph.op(node.op, *(placed(i) for i in node.args))

    # in order of the step, so that no chain of expressions is too deep for Python
    for index in reached:
        if index not in constant and step.nodes[index].op not in ("input", "literal"):
            placed(index)
    final = [placed(index) for index in outputs]
    return Trace(
        program=Program.of(graph, final, len(numbers), len(parameters)),
        numbers=tuple(numbers),
        reads=tuple(recorder.reads.values()),
        step=step,
        constant=tuple(parameters),
        values=dict(recorder.numbers),
    )


def _constant(step: Graph) -> set[int]:
    """Nodes that depend on tensors of the neuron and on nothing that changes in time."""
    constant: set[int] = set()
    fixed: set[int] = set()  # numbers and literals: constant, but no tensors
    for index, node in enumerate(step):
        if node.op == "input":
            kind = str(node.value).partition(":")[0]
            if kind == "t":
                constant.add(index)
            elif kind == "k":
                fixed.add(index)
        elif node.op == "literal":
            fixed.add(index)
        elif node.op != "fire" and not node.is_truth:
            if all(i in constant or i in fixed for i in node.args):
                (constant if any(i in constant for i in node.args) else fixed).add(index)
    return constant
