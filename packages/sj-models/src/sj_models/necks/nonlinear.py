"""A small multi-layer perceptron between backbone and head, as contrastive methods use it.

    y = bn_k(fc_k(... relu(bn_1(fc_1(relu(bn_0(fc_0(pool(x)))))))))

Source: Chen et al., "A simple framework for contrastive learning of visual representations", ICML
2020, arXiv:2002.05709.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from sj_neurons.base import StepModule

from ..base_module import BaseModule
from ..layers_from_config import build_norm_layer
from ..time_axis import at_every_step
from .global_average_pooling import GlobalAveragePooling
from .linear import BN1D

__all__ = ["NonLinearNeck"]


class NonLinearNeck(BaseModule, StepModule):
    """Linear layers `fc0, fc1, ...` with norms `bn0, bn1, ...` and ReLU; the result is a 1-tuple.

    With a time axis the norms see T N samples. Both step modes are the same: the rank says whether
    there is time.

    Args:
        in_channels: channels of the feature.
        hid_channels: width between the layers.
        out_channels: channels of the result.
        num_layers: linear layers, 2 or more.
        with_bias: whether the layers but the last have a bias.
        with_last_bn: whether a norm follows the last layer.
        with_last_bn_affine: whether that norm has parameters.
        with_last_bias: whether the last layer has a bias.
        with_avg_pool: average `[N, C, H, W]` over positions first; else features are `[N, C]`.
        norm_cfg: the norms, `{"type": "BN1d"}` by default.
        init_cfg: see :class:`BaseModule`.

    Raises:
        ValueError: `num_layers` below 2, a tuple of more than one feature, or another rank.
        TypeError: features that are not a tuple.
    """

    # the norms get time folded into the batch, whatever the mode of the net
    owns_children_step_mode: ClassVar[bool] = True

    def __init__(
        self,
        in_channels: int,
        hid_channels: int,
        out_channels: int,
        num_layers: int = 2,
        with_bias: bool = False,
        with_last_bn: bool = True,
        with_last_bn_affine: bool = True,
        with_last_bias: bool = False,
        with_avg_pool: bool = True,
        norm_cfg: Mapping[str, Any] = BN1D,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_layers < 2:
            raise ValueError(f"NonLinearNeck: num_layers must be 2 or more, got {num_layers}")
        self.avgpool = GlobalAveragePooling() if with_avg_pool else nn.Identity()
        self.relu = nn.ReLU()
        self.num_layers = num_layers
        widths = [in_channels, *[hid_channels] * (num_layers - 1), out_channels]
        for i in range(num_layers):
            last = i == num_layers - 1
            bias = with_last_bias if last else with_bias
            self.add_module(f"fc{i}", nn.Linear(widths[i], widths[i + 1], bias=bias))
            if not last or with_last_bn:
                affine = {"affine": False} if last and not with_last_bn_affine else {}
                _, norm = build_norm_layer({**norm_cfg, **affine}, widths[i + 1])
                self.add_module(f"bn{i}", norm)

    def forward(self, inputs: tuple[Tensor]) -> tuple[Tensor]:
        """A 1-tuple with `[N, out_channels]` or `[T, N, out_channels]`."""
        if not isinstance(inputs, tuple):
            raise TypeError(f"NonLinearNeck: expected a tuple, got {type(inputs).__name__}")
        if len(inputs) != 1:
            raise ValueError(f"NonLinearNeck: expected one feature, got {len(inputs)}")
        x = self.avgpool(inputs[0])
        return (at_every_step("NonLinearNeck", self._project, x, "N, C"),)

    def _project(self, x: Tensor) -> Tensor:
        layers = dict(self.named_children())
        for i in range(self.num_layers):
            x = layers[f"fc{i}"](self.relu(x) if i else x)
            x = layers[f"bn{i}"](x) if f"bn{i}" in layers else x
        return x
