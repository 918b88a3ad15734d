"""Data for task models: a data set of sj-datasets named by a config, or synthetic samples.

    data: {type: CIFAR10, root: ./data}
    data: {type: DVS128Gesture, root: ./DVS128Gesture, frames_number: 8, split_by: number}

Images come as ``[C, H, W]`` on the scale 0..255, event frames as ``[T, C, H, W]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ..errors import OptionError
from .named_data import is_image_set, named_pair

__all__ = ["fake_samples", "named_sets"]


def named_sets(config: Mapping[str, Any], root: str | Path | None) -> tuple[Any, Any]:
    """Training and test set that ``config`` names.

    Args:
        config: ``type`` and arguments of the data set.
        root: in place of the config's ``root``.

    Raises:
        OptionError: no type or no root.
        DataError: the files are missing or damaged, or an argument does not fit.
    """
    arguments = dict(config)
    name = arguments.pop("type", None)
    if root is not None:
        arguments["root"] = root
    if name is None or "root" not in arguments:
        raise OptionError("data of the config: needs 'type' and 'root' (or --data-path)")
    if is_image_set(name):
        arguments["transform"] = pixels
    else:
        arguments.setdefault("data_type", "frame")
    return named_pair(name, arguments)


def pixels(image: Any) -> Tensor:
    """uint8 ``[H, W]`` or ``[H, W, C]`` to float ``[C, H, W]``, 0..255."""
    x = torch.as_tensor(image)
    return (x[None] if x.ndim == 2 else x.permute(2, 0, 1)).float()


def fake_samples(
    shape: tuple[int, ...], classes: int, counts: tuple[int, int] = (32, 16)
) -> tuple[TensorDataset, TensorDataset]:
    """Samples of ``shape``, a random pattern of coarse blocks per class under noise, 0..255."""
    draw = torch.Generator().manual_seed(0)
    coarse = torch.rand(classes, *shape[:-2], 4, 4, generator=draw).flatten(1, -3)
    patterns = torch.nn.functional.interpolate(coarse, shape[-2:]).unflatten(1, shape[:-2])
    parts = []
    for count in counts:
        labels = torch.arange(count) % classes
        noise = torch.rand(count, *shape, generator=draw)
        parts.append(TensorDataset(255 * (0.8 * patterns[labels] + 0.2 * noise), labels))
    return parts[0], parts[1]
