"""Vision transformer that sees a random part of the patches.

    keep = int(L (1 - ratio));  order = argsort(noise);  visible = order[:keep]
    restore = argsort(order);  mask[l] = 1 where restore[l] >= keep: the patch is removed

Visible tokens stand in the order of their noise, not of their place; `restore` brings all L back.
With `neuron=` the same patches are hidden at all time steps, and the stem stays silent there, so
that nothing of them reaches the visible tokens.

Source: He, Chen, Xie, Li, Dollár, Girshick, "Masked autoencoders are scalable vision learners",
CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from ..neurons import NeuronSpec
from .position import sincos_position_embedding
from .vision_transformer import VisionTransformer, ViTOptions

__all__ = ["MAEViT", "random_masking"]


def random_masking(
    x: Tensor,
    mask_ratio: float = 0.75,
    *,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Keep the tokens with the smallest noise.

    Args:
        x: tokens `[N, L, D]`, or `[T, N, L, D]`: then the mask is the same at all time steps.
        mask_ratio: share of the tokens to remove, in [0, 1).
        noise: `[N, L]`; drawn from [0, 1) if None.
        generator: of the noise.

    Returns:
        visible tokens `[N, keep, D]` or `[T, N, keep, D]`, mask `[N, L]` (1 is removed), and the
        place of each token in the shuffled order, `[N, L]`.

    Raises:
        ValueError: `mask_ratio` out of range, or a noise of another shape.
    """
    if not 0.0 <= mask_ratio < 1.0:
        raise ValueError(f"mask_ratio must be in [0, 1), got {mask_ratio}")
    samples, length, dims = x.shape[-3:]
    if noise is None:
        device = generator.device if generator is not None else x.device
        noise = torch.rand(samples, length, generator=generator, device=device)
    if noise.shape != (samples, length):
        raise ValueError(f"expected noise {(samples, length)}, got {tuple(noise.shape)}")
    order = noise.to(x.device).argsort(dim=1, stable=True)
    restore = order.argsort(dim=1, stable=True)
    keep = int(length * (1 - mask_ratio))
    mask = (restore >= keep).to(x.dtype)
    index = order[:, :keep, None].expand(*x.shape[:-2], keep, dims)
    return x.gather(-2, index), mask, restore


class MAEViT(VisionTransformer):
    """Encoder of a masked autoencoder; positions are sines and cosines, and not trained.

    Args:
        arch: see :class:`VisionTransformer`.
        img_size: height and width of the images in pixels.
        patch_size: side of a patch in pixels.
        mask_ratio: share of the patches that is hidden, in [0, 1).
        out_type: what is returned without a mask.
        final_norm: norm, or neuron, after the last layer.
        layer_scale_init_value: initial factor of the branches; 0 for none.
        neuron: None for the ANN | class | name | config.
        **options: further arguments of :class:`VisionTransformer`.

    Raises:
        ValueError: `mask_ratio` out of range; those of :class:`VisionTransformer`.
    """

    def __init__(
        self,
        arch: str | Mapping[str, int] = "base",
        img_size: int | Sequence[int] = 224,
        patch_size: int | Sequence[int] = 16,
        mask_ratio: float = 0.75,
        *,
        out_type: str = "raw",
        final_norm: bool = True,
        layer_scale_init_value: float = 0.0,
        neuron: NeuronSpec | None = None,
        **options: Unpack[ViTOptions],
    ) -> None:
        if not 0.0 <= mask_ratio < 1.0:
            raise ValueError(
                f"{type(self).__name__}: mask_ratio must be in [0, 1), got {mask_ratio}"
            )
        super().__init__(
            arch,
            img_size,
            patch_size,
            out_type=out_type,
            final_norm=final_norm,
            layer_scale_init_value=layer_scale_init_value,
            neuron=neuron,
            **options,
        )
        self.mask_ratio = mask_ratio
        self.num_patches = self.patch_resolution[0] * self.patch_resolution[1]
        self._fill_positions()

    def init_own(self) -> None:
        """Positions from sines and cosines, a Xavier-uniform embedding, a small cls token."""
        self._fill_positions()
        projection = self.patch_embed.projection
        if isinstance(projection, nn.Conv2d):
            nn.init.xavier_uniform_(projection.weight.view(projection.out_channels, -1))
        if self.cls_token is not None:
            nn.init.normal_(self.cls_token, std=0.02)

    def _fill_positions(self) -> None:
        embedding = sincos_position_embedding(
            self.patch_resolution, self.embed_dims, cls_token=self.with_cls_token
        )
        self.pos_embed.data.copy_(embedding)
        self.pos_embed.requires_grad = False

    def random_masking(
        self,
        x: Tensor,
        mask_ratio: float = 0.75,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :func:`random_masking`."""
        return random_masking(x, mask_ratio, noise=noise, generator=generator)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        x: Tensor,
        mask: bool | None = True,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Any:
        """Features of the visible patches.

        Args:
            x: images `[N, C, H, W]`, or `[T, N, C, H, W]` if spiking.
            mask: hide patches; if False or None, see them all, as :class:`VisionTransformer` does.
            noise: `[N, L]`, decides which patches are hidden; drawn if None.
            generator: of the noise.

        Returns:
            with a mask: tokens `[N, 1 + keep, D]` (`[T, N, keep, D]` if spiking), mask `[N, L]`
            (1 is hidden), and the indices `[N, L]` that restore the order.

        Raises:
            TypeError: a mask that is no truth value.
        """
        if not isinstance(mask, bool | None):
            raise TypeError(
                f"{type(self).__name__}: mask must be True, False or None, got "
                f"{type(mask).__name__}; noise= decides which patches are hidden"
            )
        if not mask:
            return super().forward(x)
        x = self.check_input(x)
        shape = self.patch_embed.resolution((x.shape[-2], x.shape[-1]))
        places = x.new_zeros(x.shape[-4], shape[0] * shape[1], 1)
        _, hidden, restore = self.random_masking(
            places, self.mask_ratio, noise=noise, generator=generator
        )
        if self.spiking:
            tokens = self.patch_embed(x, (1 - hidden).unflatten(1, shape))[0]
        else:
            tokens = self.patch_embed(x)[0]
        return self._encode_visible(tokens, shape, restore), hidden, restore

    def _encode_visible(
        self, tokens: Tensor, resolution: tuple[int, int], restore: Tensor
    ) -> Tensor:
        positions: Any = self.positions(resolution)
        extra = self.num_extra_tokens
        tokens = tokens + positions[:, extra:]
        visible = self.random_masking(tokens, self.mask_ratio, noise=restore)[0]
        if self.cls_token is not None:
            first = self.cls_token + positions[:, :extra]
            visible = torch.cat((first.expand(visible.shape[0], -1, -1), visible), 1)
        visible = self.pre_norm(self.drop_after_pos(visible))
        for index in range(self.num_layers):
            visible = self.run_layer(index, visible)
        return self.ln1(visible)
