"""From a neuron to the program of its step.

The very step that runs on tensors runs once on symbols. What the neuron learns (and every tensor
among its attributes) is constant in time, so expressions of such tensors alone are left to torch:
it evaluates them once per call, and its autograd takes their gradient from there. A kernel sees the
results as parameters.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .. import ops
from ..base import MemoryModule
from ..surrogate import SurrogateFunction
from .graph import Graph, Program
from .symbols import Recorder, Scalar, Symbol, TraceError, fingerprint, is_plain

if TYPE_CHECKING:
    from ..neuron.base import BaseNode

__all__ = ["ON_TENSORS", "Recipe", "Trace", "evaluated", "state_names", "trace"]


@dataclass(frozen=True)
class Trace:
    """A program, and how to fill it for the neuron that it was traced from."""

    program: Program
    numbers: tuple[float, ...]
    reads: tuple[tuple[Any, str, tuple[Any, str]], ...]  # owner, name, fingerprint
    step: Graph  # the whole step, from which torch evaluates what is constant in time
    constant: tuple[int, ...]  # nodes of `step` that are the program's parameters
    values: dict[str, float]  # numbers of `step` by origin

    def still_holds(self) -> bool:
        """Whether everything that the step read has the value it had."""
        for owner, name, (thing, text) in self.reads:
            thing_now, text_now = fingerprint(getattr(owner, name, None))
            if thing_now is not thing or text_now != text:
                return False
        return True

    def recipe(self) -> Recipe:
        """What torch evaluates before a kernel runs."""
        lines: list[tuple[int, str, tuple[int, ...], Any]] = []
        for index in self.step.reached_from(self.constant):
            node = self.step.nodes[index]
            kind, _, name = str(node.value).partition(":")
            if node.op == "literal":
                lines.append((index, "number", (), node.value))
            elif node.op == "input" and kind == "t":
                lines.append((index, "tensor", (), name))
            elif node.op == "input":
                lines.append((index, "number", (), self.values[name]))
            else:
                lines.append((index, node.op, node.args, None))
        return tuple(lines)

    def parameters(self, owner: BaseNode, dim: int, dtype: torch.dtype) -> list[Tensor]:
        """The program's parameters, each broadcasting to a step `[N, *]` of `dim` dimensions."""
        return evaluated(self.recipe(), self.constant, owner, dim, dtype)


# (place, operation, places of its arguments, value), in order
Recipe = tuple[tuple[int, str, tuple[int, ...], Any], ...]


def evaluated(
    recipe: Recipe, wanted: Sequence[int], owner: BaseNode, dim: int, dtype: torch.dtype
) -> list[Tensor]:
    """What lies at the places `wanted` of a recipe, with the tensors that `owner` has now.

    Plain enough for torch.compile to look through.
    """
    results: dict[int, Any] = {}
    for place, operation, arguments, value in recipe:
        if operation == "number":
            results[place] = value
        elif operation == "tensor":
            results[place] = owner.step_tensor(value, dim)
        else:
            results[place] = ON_TENSORS[operation](*[results[i] for i in arguments])
    return [results[place].to(dtype) for place in wanted]


# What torch evaluates, if it is constant in time: all that takes tensors and numbers alike. Other
# constants (comparisons, choices) stay in the kernel.
ON_TENSORS: dict[str, Any] = {
    "neg": operator.neg, "add": operator.add, "sub": operator.sub, "mul": operator.mul,
    "div": operator.truediv, "pow": operator.pow,
    **{name: getattr(ops, name) for name in (
        "exp", "log", "sin", "cos", "tanh", "sigmoid", "atan", "erf", "abs", "sign", "round",
        "detach",
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
    try:
        double = _double(node, recorder, names)
        before = _present(double)
        with torch.enable_grad():
            outputs = _run(double, recorder, names)
        indices = [recorder.number(output) for output in outputs]
        _check_unchanged(before, _present(double))
    except TraceError as error:
        raise TraceError(f"the step of {type(node).__name__} cannot be fused: {error}") from error
    except Exception as error:  # a step that runs on tensors may do anything on symbols
        reason = str(error).partition("\n")[0]
        raise TraceError(
            f"the step of {type(node).__name__} cannot be fused: on symbols it raises "
            f"{type(error).__name__}: {reason}"
        ) from error
    return _closed(recorder, indices)


_FRAME = frozenset(vars(MemoryModule())) - {"training"}  # attributes that no step depends on


def _double(node: BaseNode, recorder: Recorder, names: Sequence[str]) -> BaseNode:
    """A copy of `node` whose tensors and numbers are symbols and scalars, and that notes reads."""
    cls = type(node)
    given: dict[str, Any] = {**node._parameters, **node._buffers, **node._modules}
    given |= {name: value for name, value in vars(node).items() if name not in _FRAME}

    def noting(self: Any, name: str) -> Any:
        value = object.__getattribute__(self, name)
        original = given.get(name, value)
        if (name in given or is_plain(original)) and name not in _FRAME:
            recorder.read(node, name, original)
            _note_numbers(recorder, original)
        return value

    double = object.__new__(type(cls.__name__, (cls,), {"__getattribute__": noting}))
    own = vars(double)
    own.update({name: copy.copy(vars(node)[name]) for name in _FRAME if name in vars(node)})
    own.update(_parameters={}, _buffers={}, _modules={})
    for name, value in given.items():
        if isinstance(value, Tensor):
            own[name] = recorder.input(f"t:{name}")
        elif isinstance(value, list | dict | set):
            own[name] = copy.copy(value)
        else:
            own[name] = Scalar(value, name) if type(value) is float else value
    for name in names:
        if not isinstance(node._memories[name], int | float | Tensor):
            raise TraceError(f"its state {name!r} is {node._memories[name]!r}, not a number")
    own["_memories"] = {name: recorder.input(f"v{i}") for i, name in enumerate(names)}
    return double


def _note_numbers(recorder: Recorder, module: Any) -> None:
    """Note the numbers of an activation or the like, which the program holds as literals."""
    # those of a surrogate are noted one by one
    if isinstance(module, nn.Module) and not isinstance(module, SurrogateFunction):
        for part in module.modules():
            for name, value in vars(part).items():
                if is_plain(value):
                    recorder.read(part, name, value)


def _present(double: BaseNode) -> dict[str, tuple[Any, Any]]:
    """The attributes of `double`, each with what changes if it is changed in place."""
    return {name: (value, _content(value)) for name, value in vars(double).items()}


def _content(value: Any) -> Any:
    if isinstance(value, Symbol):
        return value.index
    if isinstance(value, dict):
        return [id(item) for item in value.values()]
    return [id(item) for item in value] if isinstance(value, list | set) else None


def _check_unchanged(before: dict[str, tuple[Any, Any]], after: dict[str, tuple[Any, Any]]) -> None:
    for name, (value, content) in after.items():
        was, had = before.get(name, (None, "absent"))
        if name != "_memories" and (was is not value or had != content):
            raise TraceError(
                f"it changes the attribute {name!r}, which a kernel would not; make it a state"
            )


def _run(double: BaseNode, recorder: Recorder, names: Sequence[str]) -> tuple[Any, ...]:
    x = recorder.input("x")
    place = x.index
    if double._overrides_hooks:
        spike = double._hooked_step(x)  # pyright: ignore[reportArgumentType]
        outputs = spike, *(double._memories[name] for name in names)
    else:
        outputs = double.step(x, *(double._memories[name] for name in names))
    if x.index != place:
        raise TraceError("it changes its input in place")
    if not isinstance(outputs, tuple) or len(outputs) != 1 + len(names):
        raise TraceError(f"it must return a tuple (spike, {', '.join(names)})")
    return outputs


def _closed(recorder: Recorder, outputs: list[int]) -> Trace:
    """The trace with what is constant in time cut off and numbers in order of use."""
    step = recorder.graph
    constant = _constant(step)
    graph = Graph()
    place: dict[int, int] = {}
    parameters: list[int] = []
    numbers: list[float] = []
    for index in step.reached_from(outputs, until=constant):
        node = step.nodes[index]
        kind, _, name = str(node.value).partition(":")
        if index in constant:
            place[index] = graph.input(f"p{len(parameters)}")
            parameters.append(index)
        elif node.op == "input" and kind == "k":
            place[index] = graph.input(f"k{len(numbers)}")
            numbers.append(recorder.numbers[name])
        elif node.op == "input":
            place[index] = graph.input(kind)
        elif node.op == "literal":
            place[index] = graph.literal(float(node.value))
        else:
            place[index] = graph.op(node.op, *(place[i] for i in node.args))
    return Trace(
        program=Program.of(graph, [place[i] for i in outputs], len(numbers), len(parameters)),
        numbers=tuple(numbers),
        reads=tuple(recorder.reads.values()),
        step=step,
        constant=tuple(parameters),
        values=recorder.numbers,
    )


def _constant(step: Graph) -> set[int]:
    """Nodes that depend on tensors of the neuron and on nothing that changes in time."""
    constant: set[int] = set()
    numbers: set[int] = set()
    for index, node in enumerate(step):
        kind = str(node.value).partition(":")[0] if node.op == "input" else node.op
        if kind in ("k", "literal"):
            numbers.add(index)
        elif kind == "t" or (
            node.op in ON_TENSORS
            and any(i in constant for i in node.args)
            and all(i in constant or i in numbers for i in node.args)
        ):
            constant.add(index)
    return constant
