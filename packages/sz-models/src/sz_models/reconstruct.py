"""One line from a recording to an image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sj_datasets import SpikeStream

from ._numbers import check_positive, whole
from .brightness import finish_image
from .config import BaseModelConfig
from .models import BaseModel
from .networks import network_parameters, resolve_network
from .registry import build_model_cfg, default_config
from .streams import Spikes, check_axes

__all__ = ["build_method", "open_stream", "reconstruct"]

# What users call an option -> the argument of a network that it sets.
_OPTIONS = {"window": "model_win_length", "sigma": "sigma"}
_DEFAULT_RELEASE = "v023"


def reconstruct(
    spikes: Spikes | str | os.PathLike[str],
    height: int | None = None,
    width: int | None = None,
    *,
    method: str = "tfp",
    key_frame: int | None = None,
    window: int | None = None,
    sigma: float | None = None,
    rate: float = 1.0,
    version: str | None = None,
    ckpt_path: str | os.PathLike[str] | None = None,
    tile: tuple[int, int] | None = None,
    strict: bool = True,
) -> Tensor:
    """Image ``[H, W]``, float32 in [0, 1], of a spike stream at one key frame.

    Args:
        spikes: a ``.dat`` file, or a stream ``[T, H, W]`` (tensor, array, ``SpikeStream``).
        height: rows of the file.
        width: columns of the file.
        method: a name in ``METHODS``.
        key_frame: frame index, by default ``T // 2``.
        window: frames that TFP, TFI or GTFP look at.
        sigma: width in frames of GTFP's weights.
        rate: spikes per frame at full brightness; the image is divided by it, then clipped.  Where
            brightness has no scale (``BaseModel.free_brightness``) the image is stretched instead.
        version: released weights of a network, by default v023.
        ckpt_path: weight file to use instead.
        tile: rows and columns of the parts that a network makes the image in, for frames that do
            not fit into memory otherwise.
        strict: refuse a file with an incomplete last frame.

    Raises:
        FileNotFoundError: recording or weights are missing.
        ValueError: unknown method, an option the method has not, wrong sizes, key frame or window
            outside the stream, ``tile`` with a network that needs whole images.

    Example:
        >>> import torch
        >>> reconstruct(torch.ones(50, 4, 8), method="tfp", window=11, rate=2.0).unique().tolist()
        [0.5]
    """
    check_positive(rate=rate)
    model = build_method(
        method,
        {"window": window, "sigma": sigma},
        version=version,
        ckpt_path=ckpt_path,
        tile=tile,
    )
    stream = open_stream(spikes, height, width, strict=strict)
    with torch.inference_mode():
        image = model.image_at(stream, key_frame)
        return finish_image(image, rate, free_brightness=model.free_brightness).cpu()


def build_method(
    method: str,
    options: Mapping[str, Any],
    *,
    version: str | None = None,
    ckpt_path: str | os.PathLike[str] | None = None,
    tile: tuple[int, int] | None = None,
) -> BaseModel:
    """Model of a name, built in evaluation mode.

    Args:
        method: a name in ``METHODS``.
        options: ``window`` and ``sigma``; ``None`` keeps the method's default.
        version: released weights; by default v023, or local where there is nothing to load.
        ckpt_path: weight file to use instead.
        tile: rows and columns of the parts that an image is made in.

    Raises:
        ValueError: unknown method, an option it has not, weights for a method without, or ``tile``
            with a network that needs whole images.
        FileNotFoundError: the weights are not there.
    """
    cfg = default_config(method)
    params = {**cfg.model_params, **_network_options(cfg, options)}
    cfg = replace(cfg, model_params=params, tile=cfg.tile if tile is None else tile)
    if ckpt_path is not None:
        if not cfg.require_params:
            raise ValueError(f"method {method!r} has no weights, but got ckpt_path={ckpt_path!r}")
        cfg = replace(cfg, ckpt_path=os.fspath(ckpt_path))
        version = "local"
    elif version is None:
        version = "local" if cfg.ckpt_path or not cfg.require_params else _DEFAULT_RELEASE
    return build_model_cfg(cfg).build_network("eval", version)


def open_stream(
    spikes: Spikes | str | os.PathLike[str],
    height: int | None = None,
    width: int | None = None,
    *,
    strict: bool = True,
) -> Spikes:
    """A stream as it is, or a ``.dat`` file as a ``SpikeStream``.

    Raises:
        TypeError: no stream.
        ValueError: a file without height and width, a stream of other axes or without frames.
    """
    if not isinstance(spikes, (str, os.PathLike)):
        check_axes(spikes, "THW")
        return spikes
    if height is None or width is None:
        raise ValueError(f"{spikes}: a .dat file has no header; give height and width")
    return SpikeStream(spikes, height, width, strict=strict)


def _network_options(cfg: BaseModelConfig, options: Mapping[str, Any]) -> dict[str, Any]:
    known = network_parameters(resolve_network(cfg))
    chosen: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        if known is not None and _OPTIONS[name] not in known:
            raise ValueError(f"method {cfg.model_name!r} has no option {name!r}")
        if name == "window":
            value = whole(name, value)
        chosen[_OPTIONS[name]] = value
    return chosen
