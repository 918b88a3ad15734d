"""What all backbones share.

    ANN      [N, C, H, W]    -> a tuple of [N, ...]
    spiking  [T, N, C, H, W] -> a tuple of [T, N, ...]

One feature for each of `out_indices`, from low to high.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sj_neurons import functional

from ..base_module import BaseModule

__all__ = ["Backbone", "FeatureInfo", "InitConfig", "check_sizes", "checked_out_indices"]

InitConfig = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class FeatureInfo(NamedTuple):
    """A feature that a backbone returns.

    Attributes:
        name: the module it comes from.
        channels: its channels.
        stride: pixels of the input per pixel of the feature.
    """

    name: str
    channels: int
    stride: int


class Backbone(BaseModule):
    """A network that turns an image, or a sequence of them, into a tuple of features.

    Args:
        in_channels: channels of the input.
        frozen_stages: stages from the first on that are not trained; -1 for none, 0 for the stem.
        norm_eval: keep batch normalisation on its running statistics in training.
        spiking: whether the input has a time axis, and neurons see it.
        init_cfg: see :class:`BaseModule`.

    Attributes:
        feature_info: the features in the order of the output.
    """

    feature_info: tuple[FeatureInfo, ...] = ()
    num_layers: int = 0

    def __init__(
        self,
        *,
        in_channels: int,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        spiking: bool = False,
        init_cfg: InitConfig = None,
    ) -> None:
        super().__init__(init_cfg)
        check_sizes(type(self).__name__, in_channels=in_channels)
        self.in_channels = in_channels
        self.frozen_stages, self.norm_eval = frozen_stages, norm_eval
        self.spiking = spiking

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Channels of each feature."""
        return tuple(info.channels for info in self.feature_info)

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels of the input per pixel of each feature."""
        return tuple(info.stride for info in self.feature_info)

    def frozen_parts(self) -> Iterable[nn.Module | nn.Parameter]:
        """What `frozen_stages` keeps from training."""
        return ()

    def layer_depth(self, name: str) -> int | None:
        """0 for a parameter of the stem, i + 1 for one of layer i, None for the rest."""
        raise NotImplementedError

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """Depth of a parameter and number of depths, for learning rates that differ by layer.

        Args:
            param_name: its name, as in `named_parameters()` of the model that has this backbone.
            prefix: what names of this backbone start with in that model, such as `"backbone."`.
        """
        total = self.num_layers + 2
        depth = None
        if param_name.startswith(prefix):
            depth = self.layer_depth(param_name.removeprefix(prefix))
        return (total - 1 if depth is None else depth), total

    def train(self, mode: bool = True) -> Self:
        """As `torch.nn.Module.train`; frozen parts stay in evaluation mode."""
        super().train(mode)
        for part in self.frozen_parts():
            if isinstance(part, nn.Module):
                part.eval()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def finish(self) -> None:
        """Set the step mode of all parts and freeze; constructors call this last."""
        functional.set_step_mode(self, "m" if self.spiking else "s")
        for part in self.frozen_parts():
            parameters = part.parameters() if isinstance(part, nn.Module) else (part,)
            for parameter in parameters:
                parameter.requires_grad = False
        self.train(self.training)

    def check_input(self, x: Tensor) -> Tensor:
        """`x`, unless its rank or number of channels is wrong."""
        return _checked_input(x, type(self).__name__, self.spiking, self.in_channels)


@fx.wrap
def _checked_input(x: Tensor, owner: str, spiking: bool, in_channels: int) -> Tensor:
    if spiking:
        rank, shape, hint = 5, "[T, N, C, H, W]", "repeat or encode an image over time first"
    else:
        rank, shape, hint = 4, "[N, C, H, W]", "give neuron= for sequences"
    if x.dim() != rank or x.shape[-3] != in_channels:
        raise ValueError(
            f"{owner}: expected an input {shape} with C={in_channels}, got {tuple(x.shape)}"
            + (f"; {hint}" if x.dim() != rank else "")
        )
    return x


def check_sizes(owner: str, **sizes: Any) -> None:
    """Refuse numbers, or tuples of numbers, that are no integers from 1 on.

    Raises:
        TypeError, ValueError: names `owner` and the argument.
    """
    for name, given in sizes.items():
        for size in given if isinstance(given, (list, tuple)) else (given,):
            if not isinstance(size, int) or isinstance(size, bool):
                raise TypeError(f"{owner}: {name} must be made of integers, got {given!r}")
            if size < 1:
                raise ValueError(f"{owner}: {name} must be 1 or more, got {given!r}")


def checked_out_indices(
    owner: str, out_indices: int | Iterable[int], outputs: int
) -> tuple[int, ...]:
    """`out_indices` as numbers from 0 to `outputs` - 1; negative ones count from the end.

    Raises:
        ValueError: none, or one out of range.
        TypeError: something else than integers.
    """
    given: Any = out_indices
    indices = tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(isinstance(i, int) and not isinstance(i, bool) for i in indices):
        raise TypeError(f"{owner}: out_indices must be integers, got {out_indices!r}")
    if not indices or not all(-outputs <= index < outputs for index in indices):
        raise ValueError(
            f"{owner}: out_indices must be from {-outputs} to {outputs - 1}, got {out_indices!r}"
        )
    return tuple(index % outputs for index in indices)
