"""Convolutions (cross-correlations): weight [Co, Ci / groups, Kh, Kw], sample [Ci, H, W]."""

from __future__ import annotations

import nir
import numpy as np
from torch import nn

import sj_layers as layer

from ..errors import NIRGraphError, NotSupportedError
from ..fields import array, integer, pair
from .table import ImportOptions, Op, Shape, Site, register_op
from .weights import copied, with_weights

__all__: list[str] = []


def _to_node(module: nn.Conv2d, site: Site) -> nir.Conv2d:
    if module.padding_mode != "zeros":
        raise NotSupportedError(
            f"padding_mode={module.padding_mode!r}; NIR pads with zeros only, "
            "use padding_mode='zeros'"
        )
    if len(site.input_shape) != 3:
        raise NotSupportedError(
            f"the sample has shape {site.input_shape}, expected (C, H, W) behind the batch axis"
        )
    weight = copied(module.weight)
    bias = np.zeros(len(weight), weight.dtype) if module.bias is None else copied(module.bias)
    return nir.Conv2d(
        input_shape=(site.input_shape[1], site.input_shape[2]),
        weight=weight,
        stride=(module.stride[0], module.stride[1]),
        padding=module.padding
        if isinstance(module.padding, str)
        else (int(module.padding[0]), int(module.padding[1])),
        dilation=(module.dilation[0], module.dilation[1]),
        groups=module.groups,
        bias=bias,
    )


def _padding(node: nir.Conv2d, name: str) -> tuple[int, int] | str:
    if isinstance(node.padding, str):
        if node.padding not in ("same", "valid"):
            raise NIRGraphError(
                f"expected integers, 'same' or 'valid', got {node.padding!r}",
                node=name,
                field="padding",
            )
        if node.padding == "same" and pair(node, name, "stride", 1) != (1, 1):
            raise NotSupportedError("'same' needs stride 1", node=name, field="padding")
        return node.padding
    return pair(node, name, "padding", 0)


def _channels(node: nir.Conv2d, name: str) -> tuple[int, int]:
    """Input and output channels."""
    shape = np.shape(node.weight)
    groups = integer(node, name, "groups", 1)
    if len(shape) != 4:
        raise NIRGraphError(
            f"expected [Co, Ci/groups, Kh, Kw], got shape {shape}", node=name, field="weight"
        )
    if shape[0] % groups:
        raise NIRGraphError(
            f"{groups} does not divide the {shape[0]} output channels", node=name, field="groups"
        )
    return shape[1] * groups, shape[0]


def _to_module(node: nir.Conv2d, name: str, options: ImportOptions) -> layer.Conv2d:
    inputs, outputs = _channels(node, name)
    if array(node, name, "bias").shape != (outputs,):
        raise NIRGraphError(
            f"expected shape ({outputs},), one per output channel, got {np.shape(node.bias)}",
            node=name,
            field="bias",
        )
    return with_weights(
        layer.Conv2d,
        node,
        name,
        options,
        inputs,
        outputs,
        kernel_size=np.shape(node.weight)[2:],
        stride=pair(node, name, "stride", 1),
        padding=_padding(node, name),
        dilation=pair(node, name, "dilation", 1),
        groups=integer(node, name, "groups", 1),
    )


def _output_shape(node: nir.Conv2d, name: str, shape: Shape) -> Shape:
    inputs, outputs = _channels(node, name)
    if len(shape) != 3 or shape[0] != inputs:
        raise NIRGraphError(f"takes ({inputs}, H, W), but gets {shape}", node=name, field="weight")
    stated = None if node.input_shape is None else tuple(int(i) for i in node.input_shape)
    if stated is not None and stated != shape[1:]:
        raise NIRGraphError(f"says {stated}, but gets {shape}", node=name, field="input_shape")
    padding = _padding(node, name)
    if padding == "same":
        return (outputs, *shape[1:])
    pads = (0, 0) if isinstance(padding, str) else padding
    stride, dilation = pair(node, name, "stride", 1), pair(node, name, "dilation", 1)
    size = tuple(
        (shape[i + 1] + 2 * pads[i] - dilation[i] * (np.shape(node.weight)[i + 2] - 1) - 1)
        // stride[i]
        + 1
        for i in range(2)
    )
    if min(size) < 1:
        raise NIRGraphError(f"the kernel is larger than the padded input {shape}", node=name)
    return (outputs, *size)


register_op(
    Op(
        nodes=(nir.Conv2d,),
        modules=(nn.Conv2d, layer.Conv2d),
        to_node=_to_node,
        to_module=_to_module,
        output_shape=_output_shape,
    )
)
