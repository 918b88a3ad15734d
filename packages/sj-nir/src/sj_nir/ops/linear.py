"""Linear layers.

Affine  y = W x + b          Linear  y = W x          W [out, in], x [in]
"""

from __future__ import annotations

import nir
import numpy as np
from torch import nn

import sj_layers as layer

from ..errors import NIRGraphError, NotSupportedError
from ..fields import array
from .table import ImportOptions, Op, Shape, Site, register_op
from .weights import copied, with_weights

__all__: list[str] = []


def _to_node(module: nn.Linear, site: Site) -> nir.NIRNode:
    if len(site.input_shape) != 1:
        raise NotSupportedError(
            f"maps the last axis of a sample of shape {site.input_shape}, NIR maps vectors only; "
            "put a Flatten before it"
        )
    if module.bias is None:
        return nir.Linear(weight=copied(module.weight))
    return nir.Affine(weight=copied(module.weight), bias=copied(module.bias))


def _matrix_shape(node: nir.Affine | nir.Linear, name: str) -> tuple[int, int]:
    weight = np.asarray(node.weight)
    if weight.ndim != 2:
        raise NotSupportedError(
            f"shape {weight.shape} has leading axes, only [out, in] is supported yet",
            node=name,
            field="weight",
        )
    return weight.shape[0], weight.shape[1]


def _to_module(node: nir.Affine | nir.Linear, name: str, options: ImportOptions) -> layer.Linear:
    outputs, inputs = _matrix_shape(node, name)
    has_bias = isinstance(node, nir.Affine)
    if has_bias and array(node, name, "bias").shape != (outputs,):
        raise NIRGraphError(
            f"expected shape ({outputs},) as many as rows of the weight, got {np.shape(node.bias)}",
            node=name,
            field="bias",
        )
    return with_weights(layer.Linear, node, name, options, inputs, outputs, bias=has_bias)


def _output_shape(node: nir.Affine | nir.Linear, name: str, shape: Shape) -> Shape:
    outputs, inputs = _matrix_shape(node, name)
    if shape != (inputs,):
        raise NIRGraphError(
            f"has {inputs} columns and takes shape ({inputs},), but gets {shape}",
            node=name,
            field="weight",
        )
    return (outputs,)


register_op(
    Op(
        nodes=(nir.Affine, nir.Linear),
        modules=(nn.Linear, layer.Linear),
        to_node=_to_node,
        to_module=_to_module,
        output_shape=_output_shape,
    )
)
