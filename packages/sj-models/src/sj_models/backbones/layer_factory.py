"""Makes the convolutions, norms and nonlinearities of one network, all after the same configs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..layers_from_config import Config, build_conv_layer, build_norm_layer, scaled_norm_cfg

__all__ = ["ConvModule", "LayerFactory"]


@dataclass(frozen=True)
class LayerFactory:
    """What the layers of a network are made from.

    Args:
        conv_cfg: convolutions; Conv2d if None.
        norm_cfg: norms.
        activation: makes a neuron, or an activation of the ANN.
        spiking: whether these are neurons; their attributes are called `sn`, others `relu`.
    """

    conv_cfg: Config | None
    norm_cfg: Config
    activation: Callable[[], nn.Module]
    spiking: bool

    @property
    def activation_name(self) -> str:
        """What the attribute of a neuron or an activation starts with."""
        return "sn" if self.spiking else "relu"

    def conv(self, cin: int, cout: int, kernel_size: int, **options: Any) -> nn.Module:
        """A convolution without bias."""
        return build_conv_layer(self.conv_cfg, cin, cout, kernel_size, bias=False, **options)

    def norm(
        self, channels: int, postfix: int | str = "", summed: bool = False
    ) -> tuple[str, nn.Module]:
        """A norm and its name; `summed` if what it normalises is added to another branch."""
        cfg = scaled_norm_cfg(self.norm_cfg, 2) if summed else self.norm_cfg
        return build_norm_layer(cfg, channels, postfix)


class ConvModule(nn.Module):
    """Convolution, norm and (unless `activate` is false) neuron or activation.

    Args:
        layers: makes them.
        cin, cout: channels in and out.
        kernel_size: of the convolution, which keeps the size of its input at stride 1.
        stride, groups: of the convolution.
        activate: end with a neuron or an activation.
    """

    def __init__(
        self,
        layers: LayerFactory,
        cin: int,
        cout: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        activate: bool = True,
    ) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.conv = layers.conv(
            cin, cout, kernel_size, stride=stride, padding=padding, groups=groups
        )
        norm_name, norm = layers.norm(cout)
        self.add_module(norm_name, norm)
        if activate:
            self.add_module(layers.activation_name, layers.activation())

    def forward(self, x: Tensor) -> Tensor:
        for part in self.children():
            x = part(x)
        return x
