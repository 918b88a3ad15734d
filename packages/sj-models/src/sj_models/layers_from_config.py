"""Convolutions, norms and activations named in a config.

    conv_cfg  {"type": "Conv2d"}                          norm_cfg  {"type": "BN", "eps": 1e-5}
    act_cfg   {"type": "ReLU", "inplace": True}           neuron    {"type": "LIF", "tau": 2.0}

Layers that fold time into the batch are those of `sj_layers`: torch's own in step mode 's', and for
`[T, N, *]` in 'm'. A network sets the mode once, so its parts need not know whether it spikes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

import sj_layers as layer
from sj_layers.stateless import TimeFolded

from .errors import did_you_mean
from .neurons import NeuronSpec, neuron_factory

__all__ = [
    "Config",
    "SyncBatchNorm",
    "activation_factory",
    "build_activation",
    "build_conv_layer",
    "build_norm_layer",
    "scaled_norm_cfg",
]

Config = Mapping[str, Any]


class SyncBatchNorm(TimeFolded, nn.SyncBatchNorm):
    """`torch.nn.SyncBatchNorm` with a step mode; `'m'` takes `[T, N, C, *]`."""


_CONVOLUTIONS: dict[str, Any] = {
    "Conv": layer.Conv2d,
    "Conv1d": layer.Conv1d,
    "Conv2d": layer.Conv2d,
    "Conv3d": layer.Conv3d,
    "WSConv2d": layer.WSConv2d,
}

# type -> (class, short name that the norm's attribute starts with)
_NORMS: dict[str, tuple[Any, str]] = {
    "BN": (layer.BatchNorm2d, "bn"),
    "BN1d": (layer.BatchNorm1d, "bn"),
    "BN2d": (layer.BatchNorm2d, "bn"),
    "BN3d": (layer.BatchNorm3d, "bn"),
    "SyncBN": (SyncBatchNorm, "bn"),
    "tdBN": (layer.ThresholdDependentBatchNorm2d, "bn"),
    "TEBN": (layer.TemporalEffectiveBatchNorm2d, "bn"),
    "BNTT": (layer.BatchNormThroughTime2d, "bn"),
    "GN": (layer.GroupNorm, "gn"),
    "LN": (nn.LayerNorm, "ln"),
}

_ACTIVATIONS: dict[str, Any] = {
    name: getattr(nn, name)
    for name in ("ReLU", "ReLU6", "LeakyReLU", "PReLU", "GELU", "SiLU", "Sigmoid", "Tanh")
} | {"Swish": nn.SiLU, "HSwish": nn.Hardswish, "Identity": nn.Identity}


def build_conv_layer(
    cfg: Config | None,
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    bias: bool = True,
) -> nn.Module:
    """A convolution with a step mode.

    Args:
        cfg: None for Conv2d, or `{"type": name or class, ...}`; its other keys go to the layer.
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size, stride, padding, dilation: per axis or for all axes, in pixels.
        groups: groups of channels.
        bias: whether the layer has a bias.

    Raises:
        ValueError: an unknown type; names the closest ones.
        TypeError: a key that the layer does not take.
    """
    made, options = _typed(cfg or {"type": "Conv2d"}, "conv_cfg")
    build = made if callable(made) else _found(made, "conv_cfg", _CONVOLUTIONS)
    shape = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return _built(
        "conv_cfg", build, in_channels, out_channels, kernel_size, bias=bias, **(shape | options)
    )


def build_norm_layer(
    cfg: Config, num_features: int, postfix: int | str = ""
) -> tuple[str, nn.Module]:
    """A norm and the name of the attribute it belongs in, such as `("bn1", BatchNorm2d(64))`.

    Args:
        cfg: `{"type": "BN" | "BN1d" | "BN2d" | "BN3d" | "SyncBN" | "tdBN" | "TEBN" | "BNTT" | "GN"
            | "LN" or a class, ...}`. tdBN takes `v_th` and `alpha` (both 1), TEBN and BNTT need
            `T`, GN needs `num_groups`; `requires_grad=False` freezes the parameters.
        num_features: channels of the input.
        postfix: what follows the short name.

    Raises:
        ValueError: an unknown type; names the closest ones.
        TypeError: a key that the layer does not take, or lacks.
    """
    made, options = _typed(cfg, "norm_cfg")
    requires_grad = options.pop("requires_grad", True)
    if callable(made):
        build, short = made, _short_name(made)
    elif made in _NORMS:
        build, short = _NORMS[made]
    else:
        build = _found(made, "norm_cfg", {name: found for name, (found, _) in _NORMS.items()})
        short = _short_name(build)
    if made == "tdBN":
        options = {"alpha": 1.0, "v_th": 1.0} | options
    channels = "num_channels" if short == "gn" else "num_features"
    if short == "ln":
        norm = _built("norm_cfg", build, num_features, **options)
    else:
        norm = _built("norm_cfg", build, **{channels: num_features}, **options)
    for parameter in norm.parameters():
        parameter.requires_grad = requires_grad
    return f"{short}{postfix}", norm


def scaled_norm_cfg(cfg: Config, branches: int) -> Config:
    """`cfg` for the norms of branches that are summed: tdBN's alpha falls by their square root.

    Source: Zheng et al., AAAI 2021, section 3.2; other norms are left as they are.
    """
    if cfg.get("type") != "tdBN":
        return cfg
    return {**cfg, "alpha": cfg.get("alpha", 1.0) / branches**0.5}


def build_activation(cfg: Config | None) -> nn.Module:
    """An activation from `{"type": name or class, ...}`; None is the identity.

    Raises:
        ValueError: an unknown type; names the closest ones.
        TypeError: a key that the activation does not take.
    """
    if cfg is None:
        return nn.Identity()
    made, options = _typed(cfg, "act_cfg")
    build = made if callable(made) else _found(made, "act_cfg", _ACTIVATIONS)
    return _built("act_cfg", build, **options)


def activation_factory(
    neuron: NeuronSpec | None, act_cfg: Config | None, *, owner: str
) -> Callable[[], nn.Module]:
    """What makes the nonlinearities of a network: neurons, or activations where `neuron` is None.

    Raises:
        TypeError, ValueError: a neuron or an activation that does not exist, at once.
    """
    make = neuron_factory(neuron, owner=owner)
    if make is not None:
        return make
    build_activation(act_cfg)
    return partial(build_activation, act_cfg)


def _typed(cfg: Config, owner: str) -> tuple[Any, dict[str, Any]]:
    """The type of a config and its other keys."""
    if not isinstance(cfg, Mapping):
        raise TypeError(f"{owner} must be a mapping with the key 'type', got {cfg!r}")
    options = dict(cfg)
    made = options.pop("type", None)
    if made is None or not (isinstance(made, str) or callable(made)):
        raise TypeError(f"{owner}: expected a name or a class as 'type', got {made!r}")
    return made, options


def _found(name: str, owner: str, table: Mapping[str, Any]) -> Any:
    if name in table:
        return table[name]
    from .registry import MODELS

    if name in MODELS:
        return MODELS.get(name)
    raise ValueError(
        f"{owner}: there is no type {name!r}{did_you_mean(name, table)}; it is one of "
        f"{', '.join(table)} or a registered class"
    )


def _short_name(build: Any) -> str:
    """The short name of the norm that a class descends from."""
    bases = inspect.getmro(build) if inspect.isclass(build) else ()
    for base, short in ((nn.GroupNorm, "gn"), (nn.LayerNorm, "ln")):
        if base in bases:
            return short
    return "bn"


def _built(owner: str, build: Any, *args: Any, **options: Any) -> nn.Module:
    try:
        return build(*args, **options)
    except TypeError as error:
        raise TypeError(f"{owner}: {getattr(build, '__name__', build)}: {error}") from error
