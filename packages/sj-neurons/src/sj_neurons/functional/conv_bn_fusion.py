"""BatchNorm and the layer before it as one: folded for inference, packed for training.

Folding:

    W' = W gamma / sqrt(var + eps)        b' = beta + (b - mean) gamma / sqrt(var + eps)

with the running statistics `mean` and `var`, computed in float64 and rounded once.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from ..base import StepModule
from .module_pairs import module_pairs
from .multi_step import seq_to_ann_forward

__all__ = [
    "PackedConvBN",
    "fuse_conv_bn_eval_modules",
    "fused_conv_bn",
    "pack_conv_bn_train_modules",
]


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
    """Pairs of layer and norm; a class that is more than its torch class says `folds = False`."""
    pairs = module_pairs(net, (_ConvNd, nn.Linear), _BatchNorm)
    return [pair for pair in pairs if all(_folds(net.get_submodule(path)) for path in pair)]


def _folds(module: nn.Module) -> bool:
    return getattr(module, "folds", True)


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


class PackedConvBN(nn.Module, StepModule):
    """A convolution and its BatchNorm as one module, with one folding of time for both.

    Args:
        conv: the convolution.
        norm: the BatchNorm after it. Both run step by step from now on (step mode `'s'`), and the
            pair takes over the step mode that they had.
    """

    owns_children_step_mode = True

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.step_mode = getattr(conv, "step_mode", "s")
        for module in (conv, norm):
            if isinstance(module, StepModule):
                module.step_mode = "s"

    def forward(self, x: Tensor) -> Tensor:
        if self.step_mode == "s":
            return self.norm(self.conv(x))
        return seq_to_ann_forward(x, (self.conv, self.norm))

    def extra_repr(self) -> str:
        return f"step_mode={self.step_mode}"


def pack_conv_bn_train_modules(net: nn.Module) -> nn.Module:
    """A copy of `net` in which each BatchNorm right after a convolution is packed with it.

    Nothing is folded: all parameters stay, values and gradients are the same, and `[T, N, *]` is
    folded and unfolded once for the pair instead of once for each. The pair stands where the
    convolution stood, as :class:`PackedConvBN`, and `nn.Identity` where the BatchNorm stood; the
    net itself is not touched. Parameters are copies: make the optimizer from the result.

    Args:
        net: a network in training mode whose `forward` `torch.fx` can follow.

    Raises:
        ValueError: the net is in eval mode, or `torch.fx` cannot follow it.
    """
    if not net.training:
        raise ValueError(
            "packing is for training, call net.train() first; for inference, "
            "fuse_conv_bn_eval_modules folds BatchNorm away"
        )
    packed = copy.deepcopy(net)
    for conv_path, norm_path in _foldable_pairs(packed):
        conv, norm = packed.get_submodule(conv_path), packed.get_submodule(norm_path)
        modes = {getattr(module, "step_mode", "s") for module in (conv, norm)}
        if isinstance(conv, _ConvNd) and len(modes) == 1:
            packed.set_submodule(conv_path, PackedConvBN(conv, norm))
            packed.set_submodule(norm_path, nn.Identity())
    return packed
