"""Flatten: NIR counts the axes of one sample, torch counts the batch axis too."""

from __future__ import annotations

import math

import nir
import numpy as np
from torch import nn

import sj_layers as layer

from ..errors import NIRGraphError, NotSupportedError
from ..fields import integer
from .table import ImportOptions, Op, Shape, Site, register_op

__all__ = ["merged_axes"]


def _to_node(module: nn.Flatten, site: Site) -> nir.Flatten:
    rank = len(site.input_shape)

    def of_sample(dim: int) -> int:
        axis = dim if dim < 0 else dim - site.batch_axes
        if axis >= rank or axis < -rank or (dim >= 0 > axis):
            raise NotSupportedError(
                f"start_dim={module.start_dim}, end_dim={module.end_dim} reach outside of a sample "
                f"of shape {site.input_shape}; flatten only axes behind batch and time"
            )
        return axis

    start, end = of_sample(module.start_dim), of_sample(module.end_dim)
    return nir.Flatten({"input": np.array(site.input_shape)}, start_dim=start, end_dim=end)


def _to_module(node: nir.Flatten, name: str, options: ImportOptions) -> layer.Flatten:
    def with_batch(dim: int) -> int:
        return dim if dim < 0 else dim + 1

    start, end = _dims(node, name)
    return layer.Flatten(with_batch(start), with_batch(end), step_mode=options.step_mode)


def _dims(node: nir.Flatten, name: str) -> tuple[int, int]:
    lowest = -32
    return integer(node, name, "start_dim", lowest), integer(node, name, "end_dim", lowest)


def _output_shape(node: nir.Flatten, name: str, shape: Shape) -> Shape:
    stated = node.input_type["input"]
    if stated is not None and tuple(int(i) for i in stated) != shape:
        raise NIRGraphError(
            f"says {tuple(int(i) for i in stated)}, but gets {shape}", node=name, field="input_type"
        )
    rank = len(shape)
    start, end = _dims(node, name)
    first, last = start % rank if rank else 0, end % rank if rank else 0
    if not -rank <= start < rank or not -rank <= end < rank or first > last:
        raise NIRGraphError(f"start_dim={start}, end_dim={end} do not fit shape {shape}", node=name)
    return (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])


def merged_axes(before: Shape, after: Shape) -> tuple[int, int] | None:
    """`(start_dim, end_dim)` of the Flatten that turns shape `before` into `after`, if one does."""
    count = len(before) - len(after) + 1
    if count < 2:
        return None
    for start in range(len(after)):
        end = start + count
        merged = (*before[:start], math.prod(before[start:end]), *before[end:])
        if merged == after:
            return start, end - 1 if end < len(before) else -1
    return None


register_op(
    Op(
        nodes=(nir.Flatten,),
        modules=(nn.Flatten, layer.Flatten),
        to_node=_to_node,
        to_module=_to_module,
        output_shape=_output_shape,
    )
)
