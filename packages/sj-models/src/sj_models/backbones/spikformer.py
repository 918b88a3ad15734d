"""Spikformer as a backbone: sequences of images to maps of spikes.

    [T, N, C, H, W] -> a tuple of [T, N, D, H / patch, W / patch], one for each of `out_indices`

Source: Zhou et al., "Spikformer: when spiking neural network meets transformer", ICLR 2023.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from ..neurons import NeuronSpec
from ..spikformer import PatchStem, initialise, spikformer_block
from ..transformer_parts import Neurons
from .base import Backbone, FeatureInfo, InitConfig, checked_out_indices

__all__ = ["Spikformer"]


class Spikformer(Backbone):
    """Spikformer without its head; names of the parameters are those of the network in the zoo.

    Args:
        embed_dims: channels D of a token, a multiple of 8.
        depth: blocks.
        num_heads: heads of the attention; divides `embed_dims`.
        mlp_ratio: width of the hidden layer of the MLP, in D.
        patch_size: 16, or 4 for small images.
        in_channels: channels of the input, 2 for events.
        out_indices: blocks whose output is returned; negative ones count from the end.
        frozen_stages: blocks that are not trained, from the first; 0 freezes the stem only.
        norm_eval: keep batch normalisation on its running statistics in training.
        init_cfg: see :class:`BaseModule`; weights are drawn from N(0, 0.02^2) before.
        neuron: class | name | config; LIF with tau 2 and detached reset if None. In the attention
            its threshold is 0.5.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> import torch
        >>> backbone = Spikformer(embed_dims=16, depth=1, num_heads=2, patch_size=4)
        >>> backbone(torch.rand(2, 3, 3, 32, 32))[0].shape   # T=2, N=3
        torch.Size([2, 3, 16, 8, 8])
    """

    def __init__(
        self,
        embed_dims: int = 256,
        depth: int = 4,
        num_heads: int = 8,
        mlp_ratio: float = 4.0,
        patch_size: int = 16,
        in_channels: int = 3,
        out_indices: int | Sequence[int] = -1,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: InitConfig = None,
        *,
        neuron: NeuronSpec | None = None,
    ) -> None:
        super().__init__(
            in_channels=in_channels,
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
            spiking=True,
            init_cfg=init_cfg,
        )
        if embed_dims < 8 or embed_dims % 8 or depth < 1:
            raise ValueError(
                "Spikformer: embed_dims must be a multiple of 8 and depth at least 1, "
                f"got {embed_dims} and {depth}"
            )
        if frozen_stages > depth:
            raise ValueError(
                f"Spikformer: frozen_stages must be at most {depth}, the number of blocks, "
                f"got {frozen_stages}"
            )
        neurons = Neurons("Spikformer", neuron, {})
        self.num_layers = depth
        self.patch_embed = PatchStem(in_channels, embed_dims, patch_size, neurons)
        self.blocks = nn.ModuleList(
            spikformer_block(embed_dims, num_heads, mlp_ratio, neurons) for _ in range(depth)
        )
        self.out_indices = checked_out_indices("Spikformer", out_indices, depth)
        self.feature_info = tuple(
            FeatureInfo(f"blocks.{index}", embed_dims, patch_size)
            for index in sorted(self.out_indices)
        )
        initialise(self)
        self.finish()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        self.check_input(x)
        maps = self.patch_embed(x)
        tokens, features = maps.flatten(3), []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in self.out_indices:
                features.append(tokens.reshape(maps.shape))
        return tuple(features)

    def layer_depth(self, name: str) -> int | None:
        first, _, rest = name.partition(".")
        if first == "patch_embed":
            return 0
        return int(rest.partition(".")[0]) + 1 if first == "blocks" else None

    def frozen_parts(self) -> Iterable[nn.Module]:
        if self.frozen_stages >= 0:
            yield self.patch_embed
            yield from self.blocks[: self.frozen_stages]
