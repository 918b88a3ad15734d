"""Fold BatchNorm into the convolution or linear layer before it, for inference.

    W' = W gamma / sqrt(var + eps)        b' = beta + (b - mean) gamma / sqrt(var + eps)

with the running statistics `mean` and `var`, computed in float64 and rounded once.
"""

from __future__ import annotations

import copy
from typing import Any

from torch import fx, nn
from torch.fx.proxy import TraceError
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from ..base import StepModule

__all__ = ["fuse_conv_bn_eval_modules", "fused_conv_bn"]


class _LayerTracer(fx.Tracer):
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
        layer, norm = fused.get_submodule(layer_path), fused.get_submodule(norm_path)
        try:
            fused.set_submodule(layer_path, fused_conv_bn(layer, norm))
        except ValueError as error:
            raise ValueError(f"{norm_path} ({type(norm).__name__}): {error}") from error
        fused.set_submodule(norm_path, nn.Identity())
    return fused


def _foldable_pairs(net: nn.Module) -> list[tuple[str, str]]:
    """Paths of (layer, norm) where the norm is the only reader of the layer's output."""
    try:
        graph = _LayerTracer().trace(net)
    except TraceError as error:
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


def fused_conv_bn(layer: nn.Module, norm: nn.Module) -> nn.Module:
    """A copy of a convolution or linear `layer` that does what `norm` did after it.

    Raises:
        ValueError: `norm` has no running statistics, or other channels than `layer`.
        TypeError: `layer` is no convolution or linear layer, or `norm` no BatchNorm.
    """
    if not isinstance(layer, _ConvNd | nn.Linear) or not isinstance(norm, _BatchNorm):
        raise TypeError(
            "expected a convolution or linear layer and a BatchNorm, "
            f"got {type(layer).__name__} and {type(norm).__name__}"
        )
    if norm.running_mean is None:
        raise ValueError("it has no running statistics; use track_running_stats=True")
    channels = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
    if norm.num_features != channels:
        raise ValueError(f"it has {norm.num_features} features, {channels} come in")
    exact_layer, exact_norm = copy.deepcopy(layer).double(), copy.deepcopy(norm).double()
    if isinstance(exact_layer, nn.Linear):
        fused = fuse_linear_bn_eval(exact_layer.eval(), exact_norm.eval())
    else:
        fused = fuse_conv_bn_eval(exact_layer.eval(), exact_norm.eval(), exact_layer.transposed)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return fused.to(layer.weight.dtype).train(layer.training)
