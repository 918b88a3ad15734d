"""Vision transformer.

    x = [cls; patches] + pos;  x = x + attention(norm(x));  x = x + mlp(norm(x)), for each layer

With `neuron=` the layers are those of a spiking transformer with membrane shortcuts: a stem of
convolutions, batch normalisation in place of layer normalisation, attention of spikes without
softmax, no cls token, and a neuron after the last layer.

Shapes: tokens `[N, L, D]`, with a time axis first if spiking.

Source: Dosovitskiy et al., "An image is worth 16x16 words: transformers for image recognition at
scale", ICLR 2021.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor, fx, nn

from ..errors import did_you_mean
from ..layers_from_config import Config, build_norm_layer
from ..neurons import NeuronSpec, neuron_factory
from ..transformer_parts import Neurons
from .base import Backbone, FeatureInfo, InitConfig, check_sizes, checked_out_indices
from .drop_path import drop_path_rates
from .patch_embed import PatchEmbed, SpikingPatchEmbed
from .position import pair, resize_position_embedding
from .spiking_layer import SpikingEncoderLayer
from .transformer_layer import LAYER_NORM, TransformerEncoderLayer

__all__ = ["ARCHITECTURES", "ViTOptions", "VisionTransformer"]

fx.wrap("resize_position_embedding")

_KEYS = ("embed_dims", "num_layers", "num_heads", "feedforward_channels")
_SIZES = {
    ("s", "small"): (768, 8, 8, 2304),
    ("b", "base", "deit-b", "deit-base"): (768, 12, 12, 3072),
    ("l", "large"): (1024, 24, 16, 4096),
    ("h", "huge"): (1280, 32, 16, 5120),
    ("deit-t", "deit-tiny"): (192, 12, 3, 768),
    ("deit-s", "deit-small"): (384, 12, 6, 1536),
}
ARCHITECTURES: dict[str, dict[str, int]] = {
    name: dict(zip(_KEYS, sizes, strict=True)) for names, sizes in _SIZES.items() for name in names
}
_MODES = ("nearest", "nearest-exact", "bilinear", "bicubic", "area")
_OUT_TYPES = ("raw", "cls_token", "featmap", "avg_featmap")


class ViTOptions(TypedDict, total=False):
    """Arguments that subclasses of :class:`VisionTransformer` hand on."""

    in_channels: int
    out_indices: int | Sequence[int]
    drop_rate: float
    drop_path_rate: float
    qkv_bias: bool
    norm_cfg: Config
    with_cls_token: bool | None
    frozen_stages: int
    interpolate_mode: str
    patch_cfg: Mapping[str, Any] | None
    layer_cfgs: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
    pre_norm: bool
    init_cfg: InitConfig


class VisionTransformer(Backbone):
    """Vision transformer; images `[N, C, H, W]`, or sequences `[T, N, C, H, W]` with `neuron`.

    Args:
        arch: `"small"`, `"base"`, `"large"`, `"huge"`, `"deit-tiny"`, `"deit-small"`, or a mapping
            with `embed_dims` (D), `num_layers`, `num_heads` and `feedforward_channels`.
        img_size: height and width of the images in pixels that `pos_embed` is made for; others are
            taken too, with interpolated positions.
        patch_size: side of a patch in pixels.
        in_channels: channels of the input.
        out_indices: layers whose tokens are returned; negative ones count from the end.
        drop_rate: dropout after the positions and, in an ANN, in the MLPs and after the attention.
        drop_path_rate: probability of leaving out a branch of the last layer for a sample.
        qkv_bias: whether the projections of query, key and value have a bias (ANN).
        norm_cfg: norm of the tokens (ANN).
        final_norm: norm, or neuron, after the last layer.
        out_type: `"raw"` `[N, L, D]` with the cls token, `"cls_token"` `[N, D]`, `"featmap"`
            `[N, D, h, w]` or `"avg_featmap"` `[N, D]`; cls_token if None, avg_featmap if spiking.
        with_cls_token: whether there is one; yes if None, no if spiking.
        frozen_stages: layers that are not trained, from the first; 0 freezes the embedding only.
        interpolate_mode: how positions are resized.
        layer_scale_init_value: initial factor of the branches; 0 for none (ANN).
        patch_cfg: further arguments of :class:`PatchEmbed` (ANN).
        layer_cfgs: further arguments of all layers, or of each (ANN).
        pre_norm: a norm before the first layer, and no bias in the patch embedding (ANN).
        init_cfg: see :class:`BaseModule`; then positions are drawn from N(0, 0.02^2), cut off.
        neuron: None for the ANN | class | name | config.

    Raises:
        ValueError: an argument out of range, or one for ANNs together with `neuron`.

    Example:
        >>> import torch
        >>> arch = {"embed_dims": 8, "num_layers": 1, "num_heads": 2, "feedforward_channels": 16}
        >>> vit = VisionTransformer(arch, img_size=8, patch_size=4, neuron="LIF")
        >>> vit(torch.rand(4, 2, 3, 8, 8))[0].shape   # T=4, N=2
        torch.Size([4, 2, 8])
    """

    cls_token: Any  # parameters, or None
    pos_embed: Any
    patch_embed: Any
    layers: nn.ModuleList

    def __init__(
        self,
        arch: str | Mapping[str, int] = "base",
        img_size: int | Sequence[int] = 224,
        patch_size: int | Sequence[int] = 16,
        in_channels: int = 3,
        out_indices: int | Sequence[int] = -1,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        qkv_bias: bool = True,
        norm_cfg: Config = LAYER_NORM,
        final_norm: bool = True,
        out_type: str | None = None,
        with_cls_token: bool | None = None,
        frozen_stages: int = -1,
        interpolate_mode: str = "bicubic",
        layer_scale_init_value: float = 0.0,
        patch_cfg: Mapping[str, Any] | None = None,
        layer_cfgs: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        pre_norm: bool = False,
        init_cfg: InitConfig = None,
        *,
        neuron: NeuronSpec | None = None,
    ) -> None:
        super().__init__(
            in_channels=in_channels,
            frozen_stages=frozen_stages,
            spiking=neuron is not None,
            init_cfg=init_cfg,
        )
        self.arch_settings = _architecture(type(self).__name__, arch)
        self.embed_dims = self.arch_settings["embed_dims"]
        self.num_layers = self.arch_settings["num_layers"]
        self.img_size, self.interpolate_mode = pair(img_size), interpolate_mode
        self.with_cls_token = not self.spiking if with_cls_token is None else with_cls_token
        default = "avg_featmap" if self.spiking else "cls_token"
        self.out_type = default if out_type is None else out_type
        self.layer_scale_init_value, self.drop_rate = layer_scale_init_value, drop_rate
        self.qkv_bias, self.norm_cfg, self.final_norm = qkv_bias, norm_cfg, final_norm
        self._neurons = _neurons(type(self).__name__, neuron)
        check_sizes(type(self).__name__, img_size=img_size, patch_size=patch_size)
        self._check(pre_norm or patch_cfg or layer_cfgs)
        self.patch_embed = self._make_patch_embed(
            patch_size, {"bias": not pre_norm, **(patch_cfg or {})}
        )
        self._make_tokens(pre_norm)
        options = self._options_of_layers(layer_cfgs)
        rates = drop_path_rates(drop_path_rate, self.num_layers)
        self.layers = nn.ModuleList(
            self._make_layer({"drop_path_rate": rate, **own})
            for rate, own in zip(rates, options, strict=True)
        )
        self._make_last_norms()
        self.out_indices = checked_out_indices(type(self).__name__, out_indices, self.num_layers)
        stride = self.img_size[0] // self.patch_resolution[0]
        self.feature_info = tuple(
            FeatureInfo(f"layers.{i}", self.embed_dims, stride) for i in sorted(self.out_indices)
        )
        self.finish()

    @property
    def patch_resolution(self) -> tuple[int, int]:
        """Height and width of the grid of tokens that `pos_embed` is made for."""
        return self.patch_embed.init_out_size

    @property
    def num_extra_tokens(self) -> int:
        """Tokens before those of the patches."""
        return int(self.with_cls_token)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.check_input(x)
        tokens, resolution = self.patch_embed(x)
        return self.encode(self.add_positions(self.add_cls_token(tokens), resolution), resolution)

    def add_cls_token(self, tokens: Tensor) -> Tensor:
        """`[N, L, D]` to `[N, 1 + L, D]`, where there is a cls token."""
        if self.cls_token is None:
            return tokens
        return torch.cat((self.cls_token.expand(tokens.shape[0], -1, -1), tokens), 1)

    def positions(self, resolution: tuple[int, int]) -> Tensor | None:
        """`pos_embed` for a grid of tokens, `[1, E + h w, D]`, if there are absolute positions."""
        if self.pos_embed is None:
            return None
        shapes = (self.patch_resolution, resolution)
        return resize_position_embedding(
            self.pos_embed, *shapes, self.interpolate_mode, self.num_extra_tokens
        )

    def add_positions(self, tokens: Tensor, resolution: tuple[int, int]) -> Tensor:
        """Tokens with their positions, ready for the first layer."""
        positions = self.positions(resolution)
        tokens = tokens if positions is None else tokens + positions
        return self.pre_norm(self.drop_after_pos(tokens))

    def encode(self, x: Tensor, resolution: tuple[int, int]) -> tuple[Tensor, ...]:
        """Run all layers on `[N, E + L, D]`; features of `out_indices`."""
        outs = []
        for index in range(self.num_layers):
            x = self.run_layer(index, x)
            if index == self.num_layers - 1:
                x = self.ln1(x)
            if index in self.out_indices:
                outs.append(self._formatted(x, resolution))
        return tuple(outs)

    def run_layer(self, index: int, x: Tensor) -> Tensor:
        """One layer; subclasses may hand it more than tokens."""
        return self.layers[index](x)

    def init_own(self) -> None:
        """Positions from a truncated normal distribution."""
        if self.pos_embed is not None:
            nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def resize_weights(self, weights: dict[str, Any], prefix: str = "") -> None:
        """Fit positions of another square grid in a `state_dict` to this network, in place."""
        own, given = self.pos_embed, weights.get(f"{prefix}pos_embed")
        if own is None or given is None or given.shape == own.shape:
            return
        extra = self.num_extra_tokens
        side = math.isqrt(max(given.shape[1] - extra, 0))
        if given.shape[2] == own.shape[2] and side * side == given.shape[1] - extra:
            weights[f"{prefix}pos_embed"] = resize_position_embedding(
                given, (side, side), self.patch_resolution, self.interpolate_mode, extra
            )

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        self.resize_weights(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def layer_depth(self, name: str) -> int | None:
        first, _, rest = name.partition(".")
        if first in ("cls_token", "mask_token", "pos_embed", "patch_embed", "pre_norm"):
            return 0
        return int(rest.partition(".")[0]) + 1 if first == "layers" else None

    def frozen_parts(self) -> Iterable[nn.Module | nn.Parameter]:
        if self.frozen_stages < 0:
            return
        embedding = (self.patch_embed, self.cls_token, self.pos_embed, self.pre_norm)
        yield from (part for part in embedding if part is not None)
        yield self.drop_after_pos
        yield from self.layers[: self.frozen_stages]
        if self.frozen_stages == self.num_layers:
            yield from (self.ln1, self.ln2)

    def _check(self, for_anns: Any) -> None:
        owner = type(self).__name__
        if self.out_type not in _OUT_TYPES:
            raise ValueError(
                f"{owner}: out_type must be one of {_OUT_TYPES}, got {self.out_type!r}"
            )
        if self.interpolate_mode not in _MODES:
            raise ValueError(
                f"{owner}: interpolate_mode must be one of {_MODES}, got {self.interpolate_mode!r}"
            )
        changed = self.norm_cfg != LAYER_NORM or not self.qkv_bias
        if self.spiking and (
            for_anns or changed or self.layer_scale_init_value or self.with_cls_token
        ):
            raise ValueError(
                f"{owner}: with neuron= there are no with_cls_token, layer_scale_init_value, "
                "qkv_bias, norm_cfg, pre_norm, patch_cfg and layer_cfgs"
            )
        if self.out_type == "cls_token" and not self.with_cls_token:
            raise ValueError(f"{owner}: out_type='cls_token' needs a cls token; use 'avg_featmap'")
        if self.frozen_stages > self.num_layers:
            raise ValueError(
                f"{owner}: frozen_stages must be at most {self.num_layers}, the number of layers, "
                f"got {self.frozen_stages}"
            )

    def _make_patch_embed(self, patch_size: Any, options: Mapping[str, Any]) -> nn.Module:
        shape = (self.in_channels, self.embed_dims, self.img_size, patch_size)
        if self._neurons is not None:
            return SpikingPatchEmbed(*shape, self._neurons)
        return PatchEmbed(*shape, **options)

    def _make_tokens(self, pre_norm: bool) -> None:
        dims = self.embed_dims
        height, width = self.patch_resolution
        cls_token = nn.Parameter(torch.zeros(1, 1, dims)) if self.with_cls_token else None
        self.register_parameter("cls_token", cls_token)
        tokens = self.num_extra_tokens + height * width
        self.register_parameter("pos_embed", nn.Parameter(torch.zeros(1, tokens, dims)))
        self.drop_after_pos = nn.Dropout(self.drop_rate)
        self.pre_norm = build_norm_layer(self.norm_cfg, dims)[1] if pre_norm else nn.Identity()

    def _options_of_layers(self, layer_cfgs: Any) -> list[dict[str, Any]]:
        if layer_cfgs is None or isinstance(layer_cfgs, Mapping):
            return [dict(layer_cfgs or {}) for _ in range(self.num_layers)]
        if len(layer_cfgs) != self.num_layers:
            raise ValueError(
                f"{type(self).__name__}: layer_cfgs must be one mapping, or one for each of the "
                f"{self.num_layers} layers, got {len(layer_cfgs)}"
            )
        return [dict(options) for options in layer_cfgs]

    def _make_layer(self, options: dict[str, Any]) -> nn.Module:
        settings = self.arch_settings
        shape = (self.embed_dims, settings["num_heads"], settings["feedforward_channels"])
        if self._neurons is not None:
            return SpikingEncoderLayer(*shape, self._neurons, **options)
        return self._make_ann_layer(
            *shape,
            {
                "drop_rate": self.drop_rate,
                "qkv_bias": self.qkv_bias,
                "norm_cfg": self.norm_cfg,
                "layer_scale_init_value": self.layer_scale_init_value,
                **options,
            },
        )

    def _make_ann_layer(
        self, dims: int, num_heads: int, hidden: int, options: dict[str, Any]
    ) -> nn.Module:
        return TransformerEncoderLayer(dims, num_heads, hidden, **options)

    def _make_last_norms(self) -> None:
        """`ln1` after the last layer, `ln2` after the mean of the patches."""

        def norm() -> nn.Module:
            return build_norm_layer(self.norm_cfg, self.embed_dims)[1]

        averaged = self.out_type == "avg_featmap" and not self.spiking
        last = norm if self._neurons is None else self._neurons
        self.ln1 = last() if self.final_norm else nn.Identity()
        self.ln2 = norm() if averaged else nn.Identity()

    def _formatted(self, x: Tensor, resolution: tuple[int, int]) -> Tensor:
        if self.out_type == "raw":
            return x
        if self.out_type == "cls_token":
            return x[:, 0]
        patches = x[..., self.num_extra_tokens :, :]
        if self.out_type == "featmap":
            return patches.transpose(-1, -2).unflatten(-1, resolution)
        return self.ln2(patches.mean(-2))


def _architecture(owner: str, arch: str | Mapping[str, int]) -> dict[str, int]:
    if isinstance(arch, str):
        if arch not in ARCHITECTURES:
            raise ValueError(
                f"{owner}: there is no arch {arch!r}{did_you_mean(arch, ARCHITECTURES)}; it is one "
                f"of {', '.join(ARCHITECTURES)} or a mapping"
            )
        return ARCHITECTURES[arch]
    if not isinstance(arch, Mapping) or set(arch) != set(_KEYS):
        raise ValueError(f"{owner}: arch needs the keys {', '.join(_KEYS)}, got {arch!r}")
    check_sizes(f"{owner}: arch", **arch)
    return dict(arch)


def _neurons(owner: str, neuron: NeuronSpec | None) -> Neurons | None:
    made = neuron_factory(neuron, owner=owner)
    return None if made is None else Neurons(owner, made, {})
