"""Functions and methods of tensors that NIR can express.

a + b, a - b         two edges; b through a Scale of -1
c a, a / c, -a       Scale, with a number, a parameter or a buffer c
flatten, reshape     Flatten, where they only merge axes of a sample
contiguous, ...      nothing
"""

from __future__ import annotations

import operator
from typing import Any, Protocol

import nir
import numpy as np
import torch
from torch import Tensor, fx
from torch.nn import functional as F

from .errors import NotSupportedError
from .ops.flatten import merged_axes
from .ops.table import Shape
from .trace import CONSTANT, SHAPE

__all__ = ["Surroundings", "expressed"]


class Surroundings(Protocol):
    """What an operation may ask of the conversion that it is part of."""

    def node(self, at: fx.Node, source: fx.Node, made: nir.NIRNode) -> tuple[str, ...]: ...

    def sources(self, node: fx.Node) -> tuple[str, ...]: ...

    def sample_shape(self, node: fx.Node) -> Shape: ...


_ADD: set[Any] = {operator.add, operator.iadd, torch.add, "add", "add_"}
_SUBTRACT: set[Any] = {operator.sub, operator.isub, torch.sub, torch.subtract, "sub", "sub_"}
_MULTIPLY: set[Any] = {operator.mul, operator.imul, torch.mul, torch.multiply, "mul", "mul_"}
_DIVIDE: set[Any] = {operator.truediv, operator.itruediv, torch.div, "div", "div_"}
_NEGATE: set[Any] = {operator.neg, torch.neg, torch.negative, "neg"}
_RESHAPE: set[Any] = {torch.flatten, torch.reshape, "flatten", "reshape", "view"}
_NOTHING: set[Any] = {"contiguous", "detach", "clone", torch.clone, torch.detach}
_DROPOUT: set[Any] = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout}


def expressed(node: fx.Node, around: Surroundings) -> tuple[str, ...]:
    """The value of a function or method call, its nodes added.

    Raises:
        NotSupportedError: NIR cannot express it; says why.
    """
    target = node.target
    if target in _ADD or target in _SUBTRACT:
        return _sum(node, around, -1.0 if target in _SUBTRACT else 1.0)
    if target in _MULTIPLY or target in _DIVIDE or target in _NEGATE:
        return _product(node, around)
    if target in _RESHAPE:
        return _reshape(node, around)
    if target in _NOTHING or (target in _DROPOUT and not _argument(node, 2, "training", True)):
        return around.sources(node.all_input_nodes[0])
    raise NotSupportedError(
        "only sums, differences, products with constants, and flatten, reshape and view of a whole "
        "sample can be exported outside of modules; end the exported part before it"
    )


def _argument(node: fx.Node, place: int, name: str, default: Any) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def _operands(node: fx.Node) -> tuple[Any, Any]:
    return _argument(node, 0, "input", None), _argument(node, 1, "other", None)


def _is_value(operand: Any) -> bool:
    """Whether the operand depends on the inputs of the network."""
    return isinstance(operand, fx.Node) and CONSTANT not in operand.meta and SHAPE in operand.meta


def _is_zero(operand: Any) -> bool:
    return isinstance(operand, int | float) and operand == 0


def _sum(node: fx.Node, around: Surroundings, sign: float) -> tuple[str, ...]:
    terms = _operands(node)
    if sign > 0 and _is_zero(terms[0]):  # sum([...]) begins with it
        terms = terms[::-1]
    if _is_value(terms[0]) and _is_zero(terms[1]):
        return around.sources(terms[0])
    if not all(_is_value(term) for term in terms):
        raise NotSupportedError("NIR adds only outputs of nodes; give the layer before it a bias")
    if any(term.meta[SHAPE] != node.meta[SHAPE] for term in terms):
        raise NotSupportedError("NIR adds only values of equal shape")
    left, right = terms
    factor = node.kwargs.get("alpha", 1)
    if not isinstance(factor, int | float):
        raise NotSupportedError("alpha must be a number")
    summands, others = around.sources(left), around.sources(right)
    if sign * factor != 1.0 or set(summands) & set(others):
        # no edge may be given twice, so that a value is added to itself through a node
        return (*summands, *_scaled(node, right, sign * factor, around))
    # a + (b + c) is (b + c) + a, which the order of edges can say
    return (*others, *summands) if len(others) > len(summands) else (*summands, *others)


def _product(node: fx.Node, around: Surroundings) -> tuple[str, ...]:
    if node.target in _NEGATE:
        return _scaled(node, node.all_input_nodes[0], -1.0, around)
    left, right = _operands(node)
    if node.target in _DIVIDE:
        if _is_value(right) or node.kwargs.get("rounding_mode") is not None:
            raise NotSupportedError("NIR divides by constants only, without rounding")
        return _scaled(node, left, 1.0 / _constant(right), around)
    if _is_value(left) and _is_value(right):
        raise NotSupportedError("NIR cannot multiply outputs of nodes with each other")
    value, factor = (left, right) if _is_value(left) else (right, left)
    return _scaled(node, value, _constant(factor), around)


def _constant(operand: Any) -> Any:
    value = operand.meta.get(CONSTANT) if isinstance(operand, fx.Node) else operand
    if isinstance(value, Tensor):
        return value.detach().cpu().double().numpy()
    if isinstance(value, int | float):
        return np.float64(value)
    raise NotSupportedError("expected a number, a parameter or a buffer as factor")


def _scaled(node: fx.Node, value: fx.Node, factor: Any, around: Surroundings) -> tuple[str, ...]:
    shape = around.sample_shape(value)
    if around.sample_shape(node) != shape:
        raise NotSupportedError(f"changes the shape of a sample from {shape}")
    factors = np.asarray(factor)
    while factors.ndim > len(shape) and factors.shape[0] == 1:
        factors = factors[0]
    if factors.ndim > len(shape):
        raise NotSupportedError("the factor differs between samples or steps")
    if not shape:
        raise NotSupportedError("has one number per sample; give it a feature axis, [N, 1]")
    if not np.isfinite(factors).all():
        raise NotSupportedError("the factor is not finite")
    return around.node(node, value, nir.Scale(np.broadcast_to(factors, shape).copy()))


def _reshape(node: fx.Node, around: Surroundings) -> tuple[str, ...]:
    source = node.all_input_nodes[0]
    before, after = around.sample_shape(source), around.sample_shape(node)
    if before == after:
        return around.sources(source)
    dims = merged_axes(before, after)
    if dims is None:
        raise NotSupportedError(f"turns {before} into {after}; NIR can only merge axes")
    return around.node(node, source, nir.Flatten({"input": np.array(before)}, *dims))
