"""Fold BatchNorm into the convolution or linear layer before it, for inference.

    W' = W gamma / sqrt(var + eps)        b' = beta + (b - mean) gamma / sqrt(var + eps)

with the running statistics `mean` and `var`.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from ..base import StepModule

__all__ = ["fuse_conv_bn_eval_modules"]


class _LayerTracer(torch.fx.Tracer):
    """Follows containers and the user's own modules; everything else is one call."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if isinstance(m, StepModule):
            return not isinstance(m, nn.Sequential)
        return super().is_leaf_module(m, module_qualified_name)


def fuse_conv_bn_eval_modules(net: nn.Module) -> nn.Module:
    """A copy of `net` in which each BatchNorm right after a convolution or linear layer is folded.

    The folded BatchNorm becomes `nn.Identity`, so that all other names stay. The net itself is not
    touched.

    Args:
        net: a network in eval mode whose `forward` `torch.fx` can follow.

    Raises:
        ValueError: the net is in training mode, `torch.fx` cannot follow it, or a BatchNorm has no
            running statistics.
    """
    if net.training:
        raise ValueError("folding needs running statistics that stand still; call net.eval() first")
    fused = copy.deepcopy(net)
    for layer_path, norm_path in _foldable_pairs(fused):
        folded = _fold(fused.get_submodule(layer_path), fused.get_submodule(norm_path), norm_path)
        fused.set_submodule(layer_path, folded)
        fused.set_submodule(norm_path, nn.Identity())
    return fused


def _foldable_pairs(net: nn.Module) -> list[tuple[str, str]]:
    """Paths of (layer, norm) where the norm is the only reader of the layer's output."""
    try:
        graph = _LayerTracer().trace(net)
    except torch.fx.proxy.TraceError as error:
        raise ValueError(
            f"torch.fx cannot follow forward of {type(net).__name__}: {error}"
        ) from error
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    pairs = []
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(net.get_submodule(node.target), _BatchNorm):
            continue
        source: Any = node.args[0]
        if (
            source.op == "call_module"
            and len(source.users) == 1
            and isinstance(net.get_submodule(source.target), _ConvNd | nn.Linear)
            and calls.count(source.target) == calls.count(node.target) == 1
        ):
            pairs.append((source.target, node.target))
    return pairs


def _fold(layer: nn.Module, norm: nn.Module, norm_path: str) -> nn.Module:
    if not isinstance(norm, _BatchNorm) or norm.running_mean is None:
        raise ValueError(f"{norm_path} has no running statistics to fold")
    if isinstance(layer, nn.Linear):
        return fuse_linear_bn_eval(layer, norm)
    transposed = isinstance(layer, _ConvNd) and layer.transposed
    return fuse_conv_bn_eval(layer, norm, transpose=transposed)  # pyright: ignore[reportArgumentType, reportCallIssue]
