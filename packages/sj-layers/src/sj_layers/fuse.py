"""Nets made faster without being another net.

    fuse(net)                  for inference: BatchNorm folded into the layer before it
    fuse(net, training=True)   for training: BatchNorm and the neuron behind it in one kernel

and neurons on the fastest backend, both in a copy whose outputs are those of the net.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sj_neurons.functional import (
    batch_norm_module_neuron,
    fuse_conv_bn_eval_modules,
    module_pairs,
    set_backend,
)
from sj_neurons.neuron import BaseNode

__all__ = ["fuse"]


def fuse(net: nn.Module, training: bool = False) -> nn.Module:
    """A faster copy of `net` that gives the same outputs.

    Args:
        net: a network whose `forward` `torch.fx` can follow; it is not touched.
        training: keep every parameter, statistic and `state_dict` key, and normalise inside the
            neuron's kernel; otherwise the copy is for inference, in eval mode, with BatchNorm
            folded into the convolution or linear layer before it.

    Raises:
        ValueError: `torch.fx` cannot follow the net.

    Example:
        >>> import torch, sj_layers as layer
        >>> from sj_neurons import neuron
        >>> net = nn.Sequential(layer.Linear(4, 3), layer.BatchNorm1d(3), neuron.IFNode())
        >>> [type(module).__name__ for module in fuse(net)]
        ['Linear', 'Identity', 'IFNode']
    """
    if not training:
        fused = fuse_conv_bn_eval_modules(copy.deepcopy(net).eval())
        set_backend(fused, "auto")
        return fused
    fused = copy.deepcopy(net)
    set_backend(fused, "auto")
    for norm_path, node_path in module_pairs(fused, _BatchNorm, BaseNode):
        norm = fused.get_submodule(norm_path)
        if getattr(norm, "folds", True):  # some do more than normalise
            _join(norm, fused.get_submodule(node_path))
    return fused


class _LeftToTheNeuron(nn.Module):
    """Mix-in before a step-mode BatchNorm: sequences pass, for the neuron to normalise."""

    neuron: tuple[BaseNode]  # in a tuple, or it would be a submodule

    def forward(self, input: Tensor) -> Tensor:
        if _takes_sequences(self, self.neuron[0]):
            return input
        return super().forward(input)


class _Normalising(nn.Module):
    """Mix-in before a neuron: normalises sequences first, in the same kernel."""

    norm: tuple[nn.Module]

    def forward(self, *args: Any) -> Any:
        (norm,) = self.norm
        node: Any = self
        if not _takes_sequences(norm, node):
            return super().forward(*args)
        plain = _plain(node)
        outputs = batch_norm_module_neuron(*args, norm=norm, node=plain)  # pyright: ignore[reportArgumentType]
        node.v_seq = plain.v_seq
        return outputs


def _takes_sequences(norm: Any, node: Any) -> bool:
    return getattr(norm, "step_mode", "s") == node.step_mode == "m"


_HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks",
)  # fmt: skip


def _plain(module: Any) -> Any:
    """The neuron as one of the class it had before it was joined, with the same state.

    Its hooks are those of the joined one, which run when that is called.
    """
    plain = object.__new__(type(module).__mro__[2])
    module.__dict__.setdefault("_calls", {})  # what was traced, shared like the state
    plain.__dict__ = {**module.__dict__, **{name: {} for name in _HOOKS}}
    return plain


@cache
def _joined(mixin: type, cls: type) -> type:
    return type(cls.__name__, (mixin, cls), {"__module__": cls.__module__, "__doc__": cls.__doc__})


def _join(norm: nn.Module, node: nn.Module) -> None:
    norm.__dict__["neuron"], node.__dict__["norm"] = (node,), (norm,)
    norm.__class__ = _joined(_LeftToTheNeuron, type(norm))
    node.__class__ = _joined(_Normalising, type(node))
