"""BatchNorm in eval mode, merged into the layer before it, which NIR can express."""

from __future__ import annotations

from typing import Any

from torch import fx, nn

import sj_layers as layer
from sj_neurons import functional

from .errors import NotSupportedError
from .ops.table import Shape
from .trace import SHAPE, batch_axes_of

__all__ = ["BATCH_NORMS", "fold_batch_norms"]

BATCH_NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    layer.BatchNorm1d,
    layer.BatchNorm2d,
    layer.ThresholdDependentBatchNorm1d,
    layer.ThresholdDependentBatchNorm2d,
)
_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear, layer.Conv1d, layer.Conv2d, layer.Linear)


def fold_batch_norms(traced: fx.GraphModule, lead: int) -> list[str]:
    """Merge every BatchNorm that directly follows a convolution or Linear used only by it.

    Args:
        traced: network with recorded shapes; its values keep them.
        lead: axes in front of those of a sample, 1 or 2.

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
            _fold(traced, node, norm, lead)
        except NotSupportedError as error:
            problems.append(f"{node.target} ({type(norm).__name__}): {error}")
    traced.recompile()
    return problems


def _fold(traced: fx.GraphModule, node: fx.Node, norm: Any, lead: int) -> None:
    source: Any = node.args[0]
    before: Any = None
    if isinstance(source, fx.Node) and source.op == "call_module" and len(source.users) == 1:
        before = traced.get_submodule(str(source.target))
    if before is None or type(before) not in _LAYERS:
        raise NotSupportedError(
            "NIR has no normalisation; it is merged only into a Conv1d, Conv2d or Linear directly "
            "before it that feeds nothing else"
        )
    _check_channels(node, before, norm, lead)
    try:
        merged = functional.fused_conv_bn(before, norm)
    except ValueError as error:
        raise NotSupportedError(str(error)) from error
    target = f"{str(source.target).replace('.', '_')}_with_{str(node.target).replace('.', '_')}"
    traced.add_submodule(target, merged)
    source.target = target
    node.replace_all_uses_with(source)
    traced.graph.erase_node(node)


def _check_channels(node: fx.Node, before: nn.Module, norm: nn.Module, lead: int) -> None:
    """Whether axis 1, as the norm counts axes, is the one that the layer before it puts out."""
    sample: Shape = node.meta[SHAPE][lead:]
    own_mode = getattr(norm, "step_mode", "s")
    if own_mode != "m" and batch_axes_of(node, norm, lead) != 1:
        raise NotSupportedError(
            f"it takes axis 1 of [T, N, *] for the channels, which is N; use the layer of "
            f"sj_layers, {type(norm).__name__}(..., step_mode='m')"
        )
    if isinstance(before, nn.Linear) and len(sample) != 1:
        raise NotSupportedError(
            f"in a sample of shape {sample} it normalises the first axis, but the Linear before it "
            "puts out the last one; NIR has no normalisation"
        )
