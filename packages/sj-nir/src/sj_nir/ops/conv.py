"""Convolutions (cross-correlations) with zero padding.

    Conv1d   weight [Co, Ci / groups, K],        sample [Ci, L]
    Conv2d   weight [Co, Ci / groups, Kh, Kw],   sample [Ci, H, W]

`'same'` keeps the size, with the odd zero behind, and needs stride 1; `'valid'` pads nothing.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
from torch import nn

import sj_layers as layer

from ..errors import NIRGraphError, NotSupportedError
from ..fields import array, integer, integers
from .table import ImportOptions, Op, Shape, Site, register_op
from .weights import finite, with_weights

__all__: list[str] = []

Conv = nir.Conv1d | nir.Conv2d
_AXES = {nir.Conv1d: "L", nir.Conv2d: "H, W"}
_KERNEL = {nir.Conv1d: "K", nir.Conv2d: "Kh, Kw"}


# module -> node


def _to_node(module: Any, site: Site) -> Conv:
    two = isinstance(module, nn.Conv2d)
    if module.padding_mode != "zeros":
        site.lose(
            f"padding_mode={module.padding_mode!r}; NIR pads with zeros only, "
            "use padding_mode='zeros'"
        )
    rank = 3 if two else 2
    if len(site.input_shape) != rank:
        axes = "(C, H, W)" if two else "(C, L)"
        raise NotSupportedError(
            f"the sample has shape {site.input_shape}, expected {axes} behind the batch axis"
        )
    standardised = isinstance(module, layer.WSConv2d)
    weight = finite(module.get_weight() if standardised else module.weight, "weight")
    bias = (
        np.zeros(len(weight), weight.dtype) if module.bias is None else finite(module.bias, "bias")
    )
    padding = module.padding
    sizes: Any = site.input_shape[1:]
    return (nir.Conv2d if two else nir.Conv1d)(
        input_shape=sizes if two else sizes[0],
        weight=weight,
        stride=_plain(module.stride),
        padding=padding if isinstance(padding, str) else _plain(padding),
        dilation=_plain(module.dilation),
        groups=module.groups,
        bias=bias,
    )


def _plain(sizes: tuple[int, ...]) -> Any:
    """One size as an integer, two as a pair."""
    numbers = tuple(int(size) for size in sizes)
    return numbers[0] if len(numbers) == 1 else numbers


# node -> module


def _sizes(node: Conv, name: str, field: str, least: int) -> tuple[int, ...]:
    """The field with one number for each axis of space."""
    rank = 2 if isinstance(node, nir.Conv2d) else 1
    numbers = integers(node, name, field, least)
    if len(numbers) not in (1, rank):
        most = "one integer" if rank == 1 else "one or two integers"
        raise NIRGraphError(f"expected {most}, got {numbers}", node=name, field=field)
    return numbers * rank if len(numbers) == 1 else numbers


def _padding(node: Conv, name: str) -> tuple[int, ...] | str:
    if not isinstance(node.padding, str):
        return _sizes(node, name, "padding", 0)
    if node.padding not in ("same", "valid"):
        raise NIRGraphError(
            f"expected integers, 'same' or 'valid', got {node.padding!r}",
            node=name,
            field="padding",
        )
    if node.padding == "same" and max(_sizes(node, name, "stride", 1)) != 1:
        raise NotSupportedError("'same' needs stride 1", node=name, field="padding")
    return node.padding


def _channels(node: Conv, name: str) -> tuple[int, int]:
    """Input and output channels."""
    shape = np.shape(node.weight)
    groups = integer(node, name, "groups", 1)
    if len(shape) != (4 if isinstance(node, nir.Conv2d) else 3):
        raise NIRGraphError(
            f"expected [Co, Ci/groups, {_KERNEL[type(node)]}], got shape {shape}",
            node=name,
            field="weight",
        )
    if shape[0] % groups:
        raise NIRGraphError(
            f"{groups} does not divide the {shape[0]} output channels", node=name, field="groups"
        )
    return shape[1] * groups, shape[0]


def _to_module(node: Conv, name: str, options: ImportOptions) -> layer.Conv1d | layer.Conv2d:
    inputs, outputs = _channels(node, name)
    if array(node, name, "bias").shape != (outputs,):
        raise NIRGraphError(
            f"expected shape ({outputs},), one per output channel, got {np.shape(node.bias)}",
            node=name,
            field="bias",
        )
    return with_weights(
        layer.Conv2d if isinstance(node, nir.Conv2d) else layer.Conv1d,
        node,
        name,
        options,
        inputs,
        outputs,
        kernel_size=np.shape(node.weight)[2:],
        stride=_sizes(node, name, "stride", 1),
        padding=_padding(node, name),
        dilation=_sizes(node, name, "dilation", 1),
        groups=integer(node, name, "groups", 1),
    )


def _output_shape(node: Conv, name: str, shape: Shape) -> Shape:
    inputs, outputs = _channels(node, name)
    rank = np.ndim(node.weight) - 2
    if len(shape) != 1 + rank or shape[0] != inputs:
        takes = f"({inputs}, {_AXES[type(node)]})"
        raise NIRGraphError(f"takes {takes}, but gets {shape}", node=name, field="weight")
    stated = None if node.input_shape is None else tuple(np.ravel(node.input_shape).tolist())
    if stated is not None and stated != shape[1:]:
        raise NIRGraphError(f"says {stated}, but gets {shape}", node=name, field="input_shape")
    padding = _padding(node, name)
    if padding == "same":
        return (outputs, *shape[1:])
    pads = (0,) * rank if isinstance(padding, str) else padding
    stride, dilation = _sizes(node, name, "stride", 1), _sizes(node, name, "dilation", 1)
    kernel = np.shape(node.weight)[2:]
    size = tuple(
        (shape[i + 1] + 2 * pads[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
        for i in range(rank)
    )
    if min(size) < 1:
        raise NIRGraphError(f"the kernel is larger than the padded input {shape}", node=name)
    return (outputs, *size)


register_op(
    Op(
        nodes=(nir.Conv2d,),
        modules=(nn.Conv2d, layer.Conv2d, layer.WSConv2d),
        to_node=_to_node,
        to_module=_to_module,
        output_shape=_output_shape,
    )
)
register_op(
    Op(
        nodes=(nir.Conv1d,),
        modules=(nn.Conv1d, layer.Conv1d),
        to_node=_to_node,
        to_module=_to_module,
        output_shape=_output_shape,
    )
)
