"""Linear layers.

    Affine  y = W x + b          Linear  y = W x          W [out, in], x [in]

A weight [*, out, in] has a matrix of its own for each place of a sample [*, in].
"""

from __future__ import annotations

import nir
import numpy as np
from torch import nn

import sj_layers as layer

from ..errors import NIRGraphError, NotSupportedError
from ..fields import array, parameter
from ..modules import StackedLinear
from .table import ImportOptions, Op, Shape, Site, register_op
from .weights import finite, with_weights

__all__: list[str] = []

_MOST_WEIGHTS = 10**8


def _to_node(module: nn.Linear, site: Site) -> nir.NIRNode:
    places = site.input_shape[:-1]
    weight = finite(
        module.get_weight() if isinstance(module, layer.WSLinear) else module.weight, "weight"
    )
    if weight.size * np.prod(places, dtype=np.int64) > _MOST_WEIGHTS:
        raise NotSupportedError(
            f"maps the last axis of a sample of shape {site.input_shape}, for which NIR needs a "
            f"copy of its {weight.size} weights at each place; put a Flatten before it"
        )
    weight = np.broadcast_to(weight, (*places, *weight.shape)).copy()
    if module.bias is None:
        return nir.Linear(weight=weight)
    bias = finite(module.bias, "bias")
    return nir.Affine(weight=weight, bias=np.broadcast_to(bias, (*places, *bias.shape)).copy())


def _stacked_to_node(module: StackedLinear, site: Site) -> nir.NIRNode:
    if module.bias is None:
        return nir.Linear(weight=finite(module.weight, "weight"))
    bias = np.broadcast_to(finite(module.bias, "bias"), site.output_shape).copy()
    return nir.Affine(weight=finite(module.weight, "weight"), bias=bias)


def _to_module(
    node: nir.Affine | nir.Linear, name: str, options: ImportOptions
) -> layer.Linear | StackedLinear:
    weight = array(node, name, "weight")
    *places, outputs, inputs = _weight_shape(node, name)
    bias = array(node, name, "bias") if isinstance(node, nir.Affine) else None
    if bias is not None and bias.shape not in ((outputs,), (*places, outputs)):
        raise NIRGraphError(
            f"expected shape ({outputs},) as many as rows of the weight, got {bias.shape}",
            node=name,
            field="bias",
        )
    if _same_everywhere(weight, 2) and (bias is None or _same_everywhere(bias, 1)):
        first = _first_place(weight, bias)
        return with_weights(
            layer.Linear, first, name, options, inputs, outputs, bias=bias is not None
        )
    return StackedLinear(
        parameter(node, name, "weight", options.device, options.dtype),
        None if bias is None else parameter(node, name, "bias", options.device, options.dtype),
    )


def _weight_shape(node: nir.Affine | nir.Linear, name: str) -> Shape:
    shape = np.shape(node.weight)
    if len(shape) < 2:
        raise NIRGraphError(f"expected [out, in], got shape {shape}", node=name, field="weight")
    return shape


def _same_everywhere(values: np.ndarray, own_axes: int) -> bool:
    """Whether all matrices (2 axes) or vectors (1 axis) in `values` are the same."""
    stacked = values.reshape(-1, *values.shape[values.ndim - own_axes :])
    return bool((stacked == stacked[0]).all())


def _first_place(weight: np.ndarray, bias: np.ndarray | None) -> nir.Affine | nir.Linear:
    matrix = weight.reshape(-1, *weight.shape[-2:])[0]
    if bias is None:
        return nir.Linear(weight=matrix)
    return nir.Affine(weight=matrix, bias=bias.reshape(-1, bias.shape[-1])[0])


def _output_shape(node: nir.Affine | nir.Linear, name: str, shape: Shape) -> Shape:
    *places, outputs, inputs = _weight_shape(node, name)
    expected = (*places, inputs)
    if shape != expected:
        raise NIRGraphError(
            f"has {inputs} columns and takes shape {expected}, but gets {shape}",
            node=name,
            field="weight",
        )
    return (*places, outputs)


register_op(
    Op(
        nodes=(nir.Affine, nir.Linear),
        modules=(nn.Linear, layer.Linear, layer.SpikeLinear, layer.WSLinear),
        to_node=_to_node,
        to_module=_to_module,
        output_shape=_output_shape,
    )
)
register_op(Op(nodes=(), modules=(StackedLinear,), to_node=_stacked_to_node))
