"""Averages that NIR has no node for, as the layers with constant weights that they are.

    AvgPool1d, AdaptiveAvgPool1d   Conv1d of one group per channel, weight 1 / K
    VotingLayer                    Linear, 1 / size from each unit of a group to its class

They come back as those layers, whose sums may differ in the last bit.
"""

from __future__ import annotations

import nir
import numpy as np
from torch import nn

import sj_layers as layer

from ..errors import NotSupportedError
from .pool import even_windows
from .table import Op, Site, register_op

__all__: list[str] = []


def _pool_to_node(module: nn.AvgPool1d, site: Site) -> nir.Conv1d:
    _check_line(site)
    (kernel,), (stride,), (padding,) = (
        (size,) if isinstance(size, int) else tuple(size)
        for size in (module.kernel_size, module.stride, module.padding)
    )
    length = (site.input_shape[1] + 2 * padding - kernel) // stride + 1
    if module.ceil_mode and length != site.output_shape[1]:
        raise NotSupportedError(
            f"ceil_mode=True gives length {site.output_shape[1]}; NIR rounds down, to {length}"
        )
    if padding and not module.count_include_pad:
        site.lose("count_include_pad=False with padding; NIR counts the padding, set it to True")
    return _mean(site, kernel, stride, padding)


def _adaptive_to_node(module: nn.AdaptiveAvgPool1d, site: Site) -> nir.Conv1d:
    _check_line(site)
    kernel, stride = even_windows(site.input_shape[1], site.output_shape[1])
    return _mean(site, kernel, stride, 0)


def _check_line(site: Site) -> None:
    if len(site.input_shape) != 2:
        raise NotSupportedError(
            f"the sample has shape {site.input_shape}, expected (C, L) behind the batch axis"
        )


def _mean(site: Site, kernel: int, stride: int, padding: int) -> nir.Conv1d:
    channels, length = site.input_shape
    return nir.Conv1d(
        input_shape=length,
        weight=np.full((channels, 1, kernel), 1.0 / kernel, np.float32),
        stride=stride,
        padding=padding,
        dilation=1,
        groups=channels,
        bias=np.zeros(channels, np.float32),
    )


def _vote_to_node(module: layer.VotingLayer, site: Site) -> nir.Linear:
    *places, units = site.input_shape
    size, classes = module.voting_size, site.output_shape[-1]
    weight = np.zeros((classes, units), np.float32)
    weight[:, : classes * size] = np.repeat(np.eye(classes, dtype=np.float32), size, axis=1) / size
    return nir.Linear(weight=np.broadcast_to(weight, (*places, classes, units)).copy())


register_op(Op(nodes=(), modules=(nn.AvgPool1d, layer.AvgPool1d), to_node=_pool_to_node))
register_op(
    Op(
        nodes=(),
        modules=(nn.AdaptiveAvgPool1d, layer.AdaptiveAvgPool1d),
        to_node=_adaptive_to_node,
    )
)
register_op(Op(nodes=(), modules=(layer.VotingLayer,), to_node=_vote_to_node))
