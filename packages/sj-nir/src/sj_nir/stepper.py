"""What is called in the place of a module, with as little around the arithmetic as possible.

Called as a module, a neuron looks up its attributes and states at each step, and a fused backend
prepares tensors for its kernel. For few neurons that takes far longer than the step itself, so that
without gradients all is prepared once for a sequence. Values stay the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks

import sj_layers as layer
from sj_neurons.neuron import BaseNode

__all__ = ["NodeStepper", "is_watched", "sequence_call", "stepper"]

_WORTH_IT = 4  # steps from which preparing takes less time than it spares
_SMALL = 1 << 14  # elements of a step up to which anything is gained


class NodeStepper:
    """Calls a neuron step by step; :meth:`finish` gives it back its states.

    Args:
        node: the neuron, in step mode `'s'`.
        steps: how many steps there are at most.
    """

    def __init__(self, node: BaseNode, steps: int) -> None:
        self._node, self._steps = node, steps
        self._run: Any = None

    def __call__(self, x: Tensor) -> Any:
        if self._run is None:
            from sj_neurons.kernels.stepwise import stepwise  # loads much that few programs need

            self._run = stepwise(self._node, x, self._steps) or self._node
        return self._run(x)

    def finish(self) -> None:
        """Store the states in the neuron."""
        if self._run is not None and self._run is not self._node:
            _store(self._node, self._run.states)


def stepper(module: Any, steps: int) -> Callable[[Tensor], Any]:
    """What to call instead of `module`, in step mode `'s'` and without gradients.

    Args:
        module: a module of the loop.
        steps: how many steps there are at most.
    """
    if any(is_watched(part) for part in module.modules()):
        return module
    if type(module) in (nn.Linear, layer.Linear):
        if module.bias is not None:  # what F.linear does with a matrix, without its checks
            weight, bias = module.weight.t(), module.bias
            return lambda x: torch.addmm(bias, x, weight) if x.dim() == 2 else module(x)
        return partial(F.linear, weight=module.weight)
    if isinstance(module, BaseNode) and _is_plain(module):
        return NodeStepper(module, steps)
    return module


def sequence_call(module: Any) -> Callable[..., Any]:
    """What to call instead of `module` outside loops and without gradients."""
    ready = isinstance(module, BaseNode) and module.step_mode == "m" and module.backend == "torch"
    if not ready or not _is_plain(module) or any(is_watched(part) for part in module.modules()):
        return module
    return partial(_sequence, module)


def _sequence(node: BaseNode, x_seq: Tensor) -> Tensor:
    from sj_neurons.kernels.stepwise import stepwise  # loads much that few programs need

    fits = x_seq.dim() > 1 and len(x_seq) >= _WORTH_IT and x_seq[0].numel() <= _SMALL
    steps = stepwise(node, x_seq[0], len(x_seq)) if fits else None
    if steps is None:
        return node(x_seq)
    outputs = torch.stack([steps(x) for x in x_seq.unbind(0)])
    _store(node, steps.states)
    return outputs


def _store(node: BaseNode, states: list[Tensor]) -> None:
    for name, value in zip(node.states, states, strict=True):
        setattr(node, name, value)


def is_watched(module: nn.Module) -> bool:
    """Whether a call of `module` does more than its `forward`."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._compiled_call_impl is not None
        or _global_forward_hooks
        or _global_forward_pre_hooks
    )


def _is_plain(node: BaseNode) -> bool:
    """Whether a call of the neuron is its `step` and nothing else."""
    kind = type(node)
    own = all(getattr(kind, name) is getattr(BaseNode, name) for name in _CALLS)
    named = dict(node.named_memories())
    return (
        own
        and not node._overrides_hooks
        and not node.store_v_seq
        and named.keys() == kind.states.keys()
    )


_CALLS = ("forward", "single_step_forward", "multi_step_forward")
