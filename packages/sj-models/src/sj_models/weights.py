"""Weights from files, addresses and memory, into spiking models with the same parameter names.

Weights of ANNs fit: what only the neurons have (such as PLIF's `w`) keeps its value.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.hub import load_state_dict_from_url

from .neurons import is_neuron

__all__ = [
    "TORCHVISION_FILES",
    "WeightsReport",
    "load_weights",
    "read_weights",
    "torchvision_weights",
]

logger = logging.getLogger(__name__)

_SOURCE = "https://download.pytorch.org/models/"

# torchvision's IMAGENET1K_V1 weights; the digits before .pth are the start of the file's SHA-256
TORCHVISION_FILES = {
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-0676ba61.pth",
    "resnet101": "resnet101-63fe2227.pth",
    "resnet152": "resnet152-394f9c45.pth",
    "resnext50_32x4d": "resnext50_32x4d-7cdf4587.pth",
    "resnext101_32x8d": "resnext101_32x8d-8ba56ff5.pth",
    "wide_resnet50_2": "wide_resnet50_2-95faca4d.pth",
    "wide_resnet101_2": "wide_resnet101_2-32ee1156.pth",
    "vgg11": "vgg11-8a719046.pth",
    "vgg13": "vgg13-19584684.pth",
    "vgg16": "vgg16-397923af.pth",
    "vgg19": "vgg19-dcbb9e9d.pth",
    "vgg11_bn": "vgg11_bn-6002323d.pth",
    "vgg13_bn": "vgg13_bn-abd245e5.pth",
    "vgg16_bn": "vgg16_bn-6c64b313.pth",
    "vgg19_bn": "vgg19_bn-c79401a0.pth",
}

Weights = str | os.PathLike[str] | Mapping[str, Any] | Any  # the last: an enum with a `url`

_WRAPPERS = ("state_dict", "model", "model_state_dict", "net")  # keys of checkpoints around weights
_PREFIX = re.compile(r"^(module\.|_orig_mod\.)+")  # of parallel and of compiled models


@dataclass(frozen=True)
class WeightsReport:
    """What happened to the parameters and buffers of a model that was given weights.

    Attributes:
        source: where the weights came from.
        loaded: keys that were copied.
        adapted: keys that were copied after a change of shape (a first layer for other channels).
        replaced: keys that keep their initial value because the layer is of another size.
        neurons: keys of neurons that the weights do not have.
        missing, unexpected: other keys that only the model, or only the weights have; empty
            unless `strict` was off.
    """

    source: str
    loaded: tuple[str, ...]
    adapted: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    neurons: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()


def torchvision_weights(name: str) -> str:
    """Address of torchvision's ImageNet weights of the ANN `name`."""
    return _SOURCE + TORCHVISION_FILES[name]


def load_weights(
    model: nn.Module,
    weights: Weights,
    *,
    resized: Iterable[str] = (),
    first_layer: str | None = None,
    strict: bool = True,
    progress: bool = True,
) -> WeightsReport:
    """Copy `weights` into `model`; the report is kept as `model.weights_report`.

    Args:
        model: any module.
        weights: a URL (checked by the hash in its name, if it has one), a file, a state dict, a
            checkpoint that holds one, or an enum member with a `url`.
        resized: layers (or parts with layers) that may differ in shape and then keep their initial
            values.
        first_layer: convolution that may differ in its number of input channels; it then gets the
            mean over the channels of the weights, scaled to keep the sum over channels.
        strict: refuse other differences.
        progress: show a bar during a download.

    Raises:
        FileNotFoundError: no such file.
        RuntimeError: a download does not have its published hash.
        ValueError: the weights do not fit the model; the keys are named.
    """
    source, given = read_weights(weights, progress)
    own = model.state_dict()
    adapted: dict[str, Tensor] = {}
    replaced, misfits, free = [], [], tuple(resized)
    for key, value in given.items():
        if key not in own or own[key].shape == value.shape:
            continue
        layer = key.rpartition(".")[0]
        if layer == first_layer and _same_but_channels(own[key], value):
            adapted[key] = _for_channels(value, own[key].shape[1])
        elif layer == first_layer or any(f"{layer}.".startswith(f"{r}.") for r in free):
            replaced.append(key)
        else:
            misfits.append(f"{key} {tuple(value.shape)}, here {tuple(own[key].shape)}")
    absent = [key for key in own if key not in given]
    neurons = [key for key in absent if _belongs_to_neuron(model, key)]
    missing = [key for key in absent if key not in neurons and not key.endswith("_tracked")]
    unexpected = [key for key in given if key not in own]
    if strict:
        misfits += [f"{key} (not in the file)" for key in missing]
        misfits += [f"{key} (not in the model)" for key in unexpected]
    if misfits:
        raise ValueError(f"{source} does not fit the model: {', '.join(misfits[:5])}")
    skipped = {*replaced, *unexpected}
    fitting = {key: value for key, value in given.items() if key not in skipped} | adapted
    model.load_state_dict(fitting, strict=False)
    report = WeightsReport(
        source, tuple(fitting), *map(tuple, (adapted, replaced, neurons, missing, unexpected))
    )
    if adapted or replaced:
        logger.info("%s: adapted %s, not loaded %s", source, report.adapted, report.replaced)
    model.weights_report = report  # pyright: ignore[reportArgumentType]
    return report


def read_weights(
    weights: Weights, progress: bool = True, map_location: Any = "cpu"
) -> tuple[str, dict[str, Tensor]]:
    """A name for error messages, and the tensors by key; nothing in a file is run.

    Raises:
        FileNotFoundError: no such file.
        RuntimeError: a download does not have its published hash.
        TypeError: weights of another kind.
        ValueError: no state dict, or a file that is damaged or holds anything but plain data.
    """
    url = getattr(weights, "url", weights)
    if isinstance(weights, Mapping):
        source, found = "the state dict", weights
    elif isinstance(url, str) and "://" in url:
        source = url.rpartition("/")[2]
        found = _read(
            source,
            partial(load_state_dict_from_url, url, progress=progress, check_hash=True),
            map_location,
        )
    elif isinstance(weights, str | os.PathLike):
        source = os.fspath(weights)
        if not Path(source).is_file():
            raise FileNotFoundError(f"no file {source} with weights")
        found = _read(source, partial(torch.load, source), map_location)
    else:
        raise TypeError(
            f"weights must be a URL, a path, a state dict or an enum with a url, got {weights!r}"
        )
    for wrapper in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in found.items()
    ):
        raise ValueError(f"{source} holds no state dict (names of parameters with tensors)")
    return source, {_PREFIX.sub("", key): value for key, value in found.items()}


def _read(source: str, load: Callable[..., Any], map_location: Any) -> Any:
    """What a file holds, without running any of it."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return load(map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{source} holds more than tensors, which may be code, or is no file of weights; save "
            "net.state_dict() instead"
        ) from error
    except (EOFError, KeyError, OSError, RuntimeError) as error:
        unreachable = isinstance(error, OSError) and error.errno != errno.EINVAL
        if unreachable or "invalid hash" in str(error):
            raise
        raise ValueError(f"{source} is no file of weights, or it is damaged") from error


def _same_but_channels(own: Tensor, given: Tensor) -> bool:
    return own.dim() == given.dim() > 1 and own[:, :1].shape == given[:, :1].shape


def _for_channels(weight: Tensor, channels: int) -> Tensor:
    mean = weight.mean(1, keepdim=True) * (weight.shape[1] / channels)
    return mean.repeat(1, channels, *(1,) * (weight.dim() - 2))


def _belongs_to_neuron(model: nn.Module, key: str) -> bool:
    path = key.rpartition(".")[0]
    while path:
        if is_neuron(model.get_submodule(path)):
            return True
        path = path.rpartition(".")[0]
    return is_neuron(model)
