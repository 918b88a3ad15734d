"""What a loop calls at every step, with as little around the arithmetic as possible.

Called as a module, a neuron looks up its states and stores them anew at each step, and a fused
backend prepares tensors for its kernel. For the few neurons of a small loop that takes far longer
than the step itself, so that without gradients the loop keeps the states in its own hands.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

import sj_layers as layer
from sj_neurons.neuron import BaseNode

__all__ = ["NodeStepper", "stepper"]

_SMALL = 1 << 12  # elements up to which a step by torch takes less than a call of a fused kernel


class NodeStepper:
    """Calls a neuron step by step; :meth:`finish` gives it back its states."""

    def __init__(self, node: BaseNode) -> None:
        self._node = node
        self._states: list[Tensor] | None = None

    def __call__(self, x: Tensor) -> Any:
        if self._states is None:
            if self._node.backend != "torch" and x.numel() > _SMALL:
                return self._node(x)
            memories = dict(self._node.named_memories())
            values = [memories[name] for name in self._node.states]
            self._states = list(self._node.materialize_states((x,), values, "s"))
        output, *self._states = self._node.step(x, *self._states)
        return output

    def finish(self) -> None:
        """Store the states in the neuron."""
        if self._states is not None:
            for name, value in zip(self._node.states, self._states, strict=True):
                setattr(self._node, name, value)


def stepper(module: Any) -> Callable[[Tensor], Any]:
    """What to call instead of `module`, in step mode `'s'` and without gradients."""
    if _is_watched(module):
        return module
    if type(module) in (nn.Linear, layer.Linear):
        return partial(F.linear, weight=module.weight, bias=module.bias)
    if isinstance(module, BaseNode) and _is_plain(module):
        return NodeStepper(module)
    return module


def _is_watched(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _is_plain(node: BaseNode) -> bool:
    """Whether a call of the neuron is its `step` and nothing else."""
    kind = type(node)
    changed = kind.single_step_forward is not BaseNode.single_step_forward or node._overrides_hooks
    named = dict(node.named_memories())
    return not changed and node.backend in ("torch", "auto") and named.keys() == kind.states.keys()
