"""The part of an imported network whose nodes feed each other: computed step by step.

    y[t] = f(x[t], y[t-1])        y[-1] = 0

In step mode `'m'` it takes and returns whole sequences, so that only this part loops over time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sj_neurons.base import MemoryModule

from .stepper import NodeStepper, stepper

__all__ = ["EXTERNAL", "INNER", "PREVIOUS", "Loop", "LoopNode", "Term"]

Term = tuple[str, int]  # a summand: where it comes from, and its number there
EXTERNAL, INNER, PREVIOUS = "external", "inner", "previous"


@dataclass(frozen=True)
class LoopNode:
    """A module of the loop, by attribute, and what adds up to its input."""

    attribute: str
    terms: tuple[Term, ...]


class Loop(MemoryModule):
    """Modules in step mode `'s'` that feed each other with one step of delay.

    Its children stay in step mode `'s'`; `functional.set_step_mode` leaves them alone. A memory
    `NAME_prev_output` holds what the module NAME put out at the step before, `None` at the start.

    Args:
        modules: the modules by attribute name.
        nodes: calls in the order of computation. A term is `(EXTERNAL, i)`, input i of the loop,
            `(INNER, i)`, the output of node i at this step, or `(PREVIOUS, i)`, the output of the
            node that `delayed[i]` names at the step before.
        delayed: node number, and shape of one sample, for each output that is needed a step later.
        outputs: numbers of the nodes whose outputs are returned.
        step_mode: `'s'` (`[N, *]`) or `'m'` (`[T, N, *]`).
    """

    owns_children_step_mode = True

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        nodes: tuple[LoopNode, ...],
        delayed: tuple[tuple[int, tuple[int, ...]], ...],
        outputs: tuple[int, ...],
        step_mode: str = "s",
    ) -> None:
        super().__init__()
        for attribute, module in modules.items():
            self.add_module(attribute, module)
        self.nodes, self.delayed, self.outputs = nodes, delayed, outputs
        self.memory_names = tuple(f"{nodes[i].attribute}_prev_output" for i, _ in delayed)
        for name in self.memory_names:
            self.register_memory(name, None)
        self.step_mode = step_mode

    def single_step_forward(self, *inputs: Tensor) -> Any:
        runs = [self._modules[node.attribute] for node in self.nodes]
        values = self._step(inputs, self._previous(inputs[0]), runs)
        for name, (number, _) in zip(self.memory_names, self.delayed, strict=True):
            self._memories[name] = values[number]
        found = tuple(values[number] for number in self.outputs)
        return found[0] if len(found) == 1 else found

    def multi_step_forward(self, *inputs: Tensor) -> Any:
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or not len(inputs[0]):
            return super().multi_step_forward(*inputs)
        steps = zip(*(x_seq.unbind(0) for x_seq in inputs), strict=True)
        previous = self._previous(inputs[0][0])
        modules = [self._modules[node.attribute] for node in self.nodes]
        count = len(inputs[0])  # nodes may share a module, and then its state
        by_module = {id(m): stepper(m, count * modules.count(m)) for m in modules}
        runs = [by_module[id(module)] for module in modules]
        found: list[list[Tensor]] = []
        for step in steps:
            values = self._step(step, previous, runs)
            previous = [values[number] for number, _ in self.delayed]
            found.append([values[number] for number in self.outputs])
        for run in by_module.values():
            if isinstance(run, NodeStepper):
                run.finish()
        # copies: an output may be a view of those of all steps
        last = [value.clone() for value in previous]
        self._memories.update(zip(self.memory_names, last, strict=True))
        stacked = tuple(torch.stack(items) for items in zip(*found, strict=True))
        return stacked[0] if len(stacked) == 1 else stacked

    def _previous(self, x: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        for name, (_, shape) in zip(self.memory_names, self.delayed, strict=True):
            value = self._memories[name]
            expected = (x.shape[0], *shape)
            if value is None:
                value = x.new_zeros(expected)
            elif value.shape != expected:
                raise ValueError(
                    f"{name}: expected shape {tuple(expected)} for this input, got "
                    f"{tuple(value.shape)} from the previous step; call reset_net(net) between "
                    "sequences"
                )
            found.append(value.to(x))
        return found

    def _step(
        self, inputs: tuple[Tensor, ...], previous: list[Tensor], runs: list[Any]
    ) -> list[Tensor]:
        values: list[Tensor] = []
        known = {EXTERNAL: inputs, INNER: values, PREVIOUS: previous}
        for node, run in zip(self.nodes, runs, strict=True):
            total = None
            for kind, place in node.terms:
                term = known[kind][place]
                total = term if total is None else total + term
            values.append(run(total))
        return values
