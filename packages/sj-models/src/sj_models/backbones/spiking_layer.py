"""The encoder layer of a spiking vision transformer, with membrane shortcuts.

    x = x + attention(x)      neuron, Q K V, neurons, neuron(scale (V K^T) Q), projection
    x = x + mlp(x)            neuron, linear, neuron, linear

x are currents `[T, N, L, D]`; every matrix product has spikes on its input, and no softmax. Batch
normalisation follows each linear layer.

Sources: Zhou et al., "Spikformer: when spiking neural network meets transformer", ICLR 2023; Zhou
et al., "Spikingformer: spike-driven residual learning for transformer-based spiking neural
network", 2023.
"""

from __future__ import annotations

from torch import Tensor

from ..transformer_parts import ConvMLP, MembraneSelfAttention, Neurons, TransformerBlock
from .drop_path import DropPath

__all__ = ["SpikingEncoderLayer"]


class SpikingEncoderLayer(TransformerBlock):
    """Spiking attention and MLP, each added to the currents `[T, N, L, D]`.

    Args:
        embed_dims: D.
        num_heads: heads of the attention; divides D.
        feedforward_channels: hidden width of the MLP.
        neurons: makes the neurons.
        drop_path_rate: probability of leaving out a branch for a sample.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        neurons: Neurons,
        *,
        drop_path_rate: float = 0.0,
    ) -> None:
        # half a channel more, as the MLP rounds the product down
        ratio = (feedforward_channels + 0.5) / embed_dims
        super().__init__(
            MembraneSelfAttention(embed_dims, num_heads, neurons),
            ConvMLP(embed_dims, ratio, neurons, maps=False),
        )
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x_seq: Tensor) -> Tensor:
        x = x_seq.transpose(2, 3)  # from one layer to the next this is a view without a copy
        x = x + self.drop_path(self.attn(x))
        x = x + self.drop_path(self.mlp(x))
        return x.transpose(2, 3)
