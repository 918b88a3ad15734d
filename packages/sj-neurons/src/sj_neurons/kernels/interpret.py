"""Programs evaluated by torch, expression by expression: slow, and differentiable any number of
times. Gradients of gradients come from here."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .graph import Graph
from .plan import plan
from .trace import ON_TENSORS

__all__ = ["OPERATIONS", "run_by_torch"]

OPERATIONS: dict[str, Any] = {
    **ON_TENSORS, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "eq": operator.eq, "ne": operator.ne, "not": torch.logical_not, "and": torch.logical_and,
    "or": torch.logical_or, "minimum": torch.minimum, "maximum": torch.maximum,
    "where": torch.where,
}  # fmt: skip


class _Spike(torch.autograd.Function):
    """A spike of `u`, with the gradient given."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, spike: Tensor, derivative: Tensor) -> Tensor:
        ctx.save_for_backward(derivative)
        return spike.clone()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (derivative,) = ctx.saved_tensors
        return grad_outputs[0] * derivative, None, None


def _evaluated(
    graph: Graph, outputs: Iterable[int], inputs: Mapping[str, Tensor]
) -> dict[int, Tensor]:
    """The values of `outputs` and of all they depend on."""
    values: dict[int, Tensor] = {}
    for index in graph.reached_from(outputs):
        node = graph.nodes[index]
        if node.op == "literal":
            # a tensor: torch would take a float for a number of the default type
            values[index] = inputs["x"].new_tensor(node.value)
        elif node.op == "input":
            values[index] = inputs[str(node.value)]
        elif node.op == "fire":
            spike, u, derivative = (values[i] for i in node.args)
            values[index] = _Spike.apply(u, spike, derivative)
        else:
            values[index] = OPERATIONS[node.op](*(values[i] for i in node.args))
    return values


def run_by_torch(
    program: str,
    x_seq: Tensor,
    steps: int,
    states: Sequence[Tensor | None],
    parameters: Sequence[Tensor],
    numbers: Sequence[float],
    rest: Sequence[float],
) -> tuple[Tensor, list[Tensor], Tensor]:
    """Outputs `[T, N, *]`, last states `[N, *]`, and the first state after each step.

    Args:
        program: text of the program.
        x_seq: input `[T, N, *]`, or one frame `[1, N, *]` that is repeated.
        steps: T.
        states: initial states; where None, all neurons start at the number in `rest`.
        parameters, numbers: values of `p0 ...` and `k0 ...`.
        rest: one number per state.
    """
    made = plan(program).program
    graph = made.graph()
    real = torch.float64 if x_seq.dtype == torch.float64 else torch.float32
    inputs = {f"k{i}": x_seq.new_tensor(k, dtype=real) for i, k in enumerate(numbers)}
    inputs |= {f"p{i}": value for i, value in enumerate(parameters)}
    present = [
        x_seq.new_full(x_seq.shape[1:], value, dtype=real) if state is None else state.to(real)
        for state, value in zip(states, rest, strict=True)
    ]
    spikes, potentials = [], []
    for x in x_seq.expand(steps, *x_seq.shape[1:]).unbind(0):
        inputs["x"] = x.to(real)
        inputs |= {f"v{i}": state for i, state in enumerate(present)}
        values = _evaluated(graph, made.outputs, inputs)
        spike, *present = (values[i] for i in made.outputs)
        spikes.append(spike)
        potentials.append(present[0])
    return (
        torch.stack(spikes).to(x_seq.dtype),
        present,
        torch.stack(potentials).to(x_seq.dtype),
    )
