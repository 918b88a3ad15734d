"""BatchNorm in eval mode, merged into the layer before it, which NIR can express.

    s = gamma / sqrt(var + eps)      W' = s W      b' = s (b - mean) + beta

computed in float64 and rounded once to the dtype of W.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn

import sj_layers as layer

from .errors import NotSupportedError

__all__ = ["BATCH_NORMS", "fold_batch_norms"]

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, layer.BatchNorm2d)
_LAYERS = (nn.Conv2d, layer.Conv2d, nn.Linear, layer.Linear)


def fold_batch_norms(traced: fx.GraphModule) -> list[str]:
    """Merge every BatchNorm that directly follows a convolution or Linear used only by it.

    Returns:
        what could not be merged, one message each, naming the module.
    """
    problems: list[str] = []
    for node in list(traced.graph.nodes):
        if node.op != "call_module":
            continue
        norm = traced.get_submodule(str(node.target))
        if type(norm) not in BATCH_NORMS:
            continue
        try:
            _fold(traced, node, norm)
        except NotSupportedError as error:
            problems.append(f"{node.target} ({type(norm).__name__}): {error}")
    traced.recompile()
    return problems


def _fold(traced: fx.GraphModule, node: fx.Node, norm: Any) -> None:
    source: Any = node.args[0]
    before: Any = None
    if isinstance(source, fx.Node) and source.op == "call_module" and len(source.users) == 1:
        before = traced.get_submodule(str(source.target))
    if before is None or type(before) not in _LAYERS:
        raise NotSupportedError(
            "NIR has no normalisation; it is merged only into a Conv2d or Linear directly before "
            "it that feeds nothing else"
        )
    merged = _merged(before, norm)
    target = f"{str(source.target).replace('.', '_')}_with_{str(node.target).replace('.', '_')}"
    traced.add_submodule(target, merged)
    source.target = target
    node.replace_all_uses_with(source)
    traced.graph.erase_node(node)


def _merged(before: nn.Conv2d | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.Module:
    mean, var = norm.running_mean, norm.running_var
    if not isinstance(mean, Tensor) or not isinstance(var, Tensor):
        raise NotSupportedError("it has no running statistics; use track_running_stats=True")
    weight = before.weight
    if len(mean) != len(weight):
        raise NotSupportedError(f"it has {len(mean)} features, {len(weight)} come in")
    scale = torch.rsqrt(var.double() + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -mean.double() if before.bias is None else before.bias.double() - mean.double()
    bias = scale * shift
    if norm.bias is not None:
        bias = bias + norm.bias.double()
    shape = (-1, *(1 for _ in weight.shape[1:]))
    # parameters are shared with the user's network, so the merged layer gets its own
    merged = copy.copy(before)
    merged._parameters = {
        "weight": nn.Parameter((weight.double() * scale.view(shape)).to(weight.dtype)),
        "bias": nn.Parameter(bias.to(weight.dtype)),
    }
    return merged
