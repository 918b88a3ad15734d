"""SSIR: a spiking network whose last layers turn spikes into an image.

    spikes [B, 41, H, W] -> 128 spiking maps -> at H/2: 128, residual block -> at H: 64 spiking maps
        -> four convolutions without non-linearity -> image [B, 1, H, W]

A call is one time step: the frames of a window are channels, and the neurons (leaky integrators
with a learnable leak) keep their potential until ``sj_neurons.functional.reset_net(net)``, so that
consecutive windows of a stream can build on each other.

Zhao et al., "Spike camera image reconstruction using deep spiking neural networks", IEEE
Transactions on Circuits and Systems for Video Technology, 2023.
"""

from __future__ import annotations

from torch import Tensor, nn

from sj_neurons.neuron import ParametricLIFNode
from sj_neurons.surrogate import ATan

from ..layout import cpu_layout

__all__ = ["SSIR"]

_FRAMES = 41
_WIDTH = 128


class SSIR(nn.Module):
    """Spiking reconstruction network, about 0.38 M parameters.

    H and W should be even; an odd side makes the image one pixel larger.

    Raises:
        ValueError: spikes that are not ``[B, 41, H, W]``, or of another batch or size than at the
            previous call without a reset between.

    Example:
        >>> import torch
        >>> SSIR()(torch.zeros(1, 41, 8, 8)).shape
        torch.Size([1, 1, 8, 8])
    """

    receptive_radius = 10
    """4 by the prediction head, then per pixel of the coarse grid 2 by the decoder's stride and, on
    the fine grid, 2 by the bottleneck, 1 by the encoder, 1 by the first convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.static_conv = _SpikingLayer(_conv(_FRAMES, _WIDTH), _WIDTH)
        self.enc1 = _SpikingLayer(_conv(_WIDTH, _WIDTH, stride=2), _WIDTH)
        self.eres1 = _Bottleneck(_WIDTH)
        self.dec3 = _SpikingLayer(
            nn.ConvTranspose2d(_WIDTH, _WIDTH // 2, 4, stride=2, padding=1, bias=False), _WIDTH // 2
        )
        self.pred3 = _PredictionHead(_WIDTH // 2)

    def forward(self, spike: Tensor) -> Tensor:
        """One time step: spikes ``[B, 41, H, W]`` -> image ``[B, 1, H, W]``."""
        if spike.ndim != 4 or spike.shape[1] != _FRAMES:
            raise ValueError(f"spikes must be [B, {_FRAMES}, H, W], got {list(spike.shape)}")
        return self.pred3(self.dec3(self.eres1(self.enc1(self.static_conv(cpu_layout(spike))))))


class _SpikingLayer(nn.Module):
    """Convolution, normalisation, neuron."""

    def __init__(self, conv: nn.Module, n_outputs: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(conv, nn.BatchNorm2d(n_outputs), _neuron())

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class _Bottleneck(nn.Module):
    """Adds spikes made from a quarter of the channels: values 0, 1, 2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = width // 4
        self.conv1 = _normalised(_conv(width, narrow, kernel=1, padding=0), narrow)
        self.sn1 = _neuron()
        self.conv2 = _normalised(_conv(narrow, narrow), narrow)
        self.sn2 = _neuron()
        self.conv3 = _normalised(_conv(narrow, width, kernel=1, padding=0), width)
        self.sn3 = _neuron()

    def forward(self, x: Tensor) -> Tensor:
        y = self.sn2(self.conv2(self.sn1(self.conv1(x))))
        return self.sn3(self.conv3(y)) + x


class _PredictionHead(nn.Module):
    """Linear: the first convolution adds a border of 3 pixels that the others use up."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = width // 2
        self.conv1 = _normalised(_conv(width, narrow, padding=4), narrow)
        self.conv2 = _normalised(_conv(narrow, narrow, padding=0), narrow)
        self.conv3 = _normalised(_conv(narrow, narrow, padding=0), narrow)
        self.conv4 = _conv(narrow, 1, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv4(self.conv3(self.conv2(self.conv1(x))))


def _neuron() -> ParametricLIFNode:
    # neurons by tensor operations take as long as the convolutions
    return ParametricLIFNode(
        init_tau=2.0, surrogate_function=ATan(), detach_reset=True, backend="auto"
    )


def _conv(
    n_inputs: int, n_outputs: int, *, kernel: int = 3, stride: int = 1, padding: int = 1
) -> nn.Conv2d:
    return nn.Conv2d(n_inputs, n_outputs, kernel, stride, padding, bias=False)


def _normalised(conv: nn.Conv2d, n_outputs: int) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(n_outputs))
