"""What a loop calls at every step, with as little around the arithmetic as possible.

Called as a module, a neuron looks up its states and stores them anew at each step, and a fused
backend prepares tensors for its kernel. For the few neurons of a small loop that takes far longer
than the step itself, so that without gradients the loop keeps the states in its own hands.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import sj_layers as layer
from sj_neurons.neuron import BaseNode
from sj_neurons.surrogate import SurrogateFunction

__all__ = ["NodeStepper", "stepper"]

_SMALL = 1 << 12  # elements up to which a step by torch takes less than a call of a fused kernel


class NodeStepper:
    """Calls a neuron step by step; :meth:`finish` gives it back its states."""

    def __init__(self, node: BaseNode) -> None:
        self._node = node
        self._step = _with_plain_spikes(node).step
        self._states: list[Tensor] | None = None

    def __call__(self, x: Tensor) -> Any:
        if self._states is None:
            if self._node.backend != "torch" and x.numel() > _SMALL:
                return self._node(x)
            memories = dict(self._node.named_memories())
            values = [memories[name] for name in self._node.states]
            self._states = list(self._node.materialize_states((x,), values, "s"))
        output, *self._states = self._step(x, *self._states)
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
        if module.bias is not None:  # what F.linear does with a matrix, without its checks
            weight, bias = module.weight.t(), module.bias
            return lambda x: torch.addmm(bias, x, weight) if x.dim() == 2 else module(x)
        return partial(F.linear, weight=module.weight)
    if isinstance(module, BaseNode) and _is_plain(module):
        return NodeStepper(module)
    return module


def _with_plain_spikes(node: BaseNode) -> BaseNode:
    """The neuron, without its surrogate function where that only compares with 0.

    What comes back shares all attributes with `node`.
    """
    surrogate = getattr(node, "surrogate_function", None)
    kind: Any = type(surrogate)
    if not isinstance(surrogate, SurrogateFunction) or _is_watched(surrogate):
        return node
    plain = (
        kind.forward is SurrogateFunction.forward
        and kind.spiking_function.__func__ is SurrogateFunction.spiking_function.__func__  # pyright: ignore[reportFunctionMemberAccess]
    )
    if not (plain and kind.spike is None and surrogate.spiking):
        return node
    view = object.__new__(_firing_plainly(type(node)))
    object.__setattr__(view, "__dict__", node.__dict__)
    return view


@cache
def _firing_plainly(kind: type[BaseNode]) -> type[BaseNode]:
    """The class with a comparison in the place of its surrogate functions."""
    changed: dict[str, Any] = {"surrogate_function": staticmethod(_spikes)}
    if kind.fire is BaseNode.fire:
        changed["fire"] = _fire
    return type(kind.__name__, (kind,), changed)


def _spikes(u: Tensor) -> Tensor:
    return (u >= 0).to(u.dtype)


def _fire(self: Any, h: Tensor) -> Tensor:
    return (h >= self.v_threshold).to(h.dtype)  # thresholds are finite


def _is_watched(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _is_plain(node: BaseNode) -> bool:
    """Whether a call of the neuron is its `step` and nothing else."""
    kind = type(node)
    changed = kind.single_step_forward is not BaseNode.single_step_forward or node._overrides_hooks
    named = dict(node.named_memories())
    return not changed and node.backend in ("torch", "auto") and named.keys() == kind.states.keys()
