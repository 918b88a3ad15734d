"""Nodes whose output depends on the present input alone: functions of `[K, *]`, K = T B."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import nir
import numpy as np

from ..errors import NIRGraphError, NotSupportedError
from .fields import Shape, SingleNumberError, floats, shape_of, whole
from .rule import THRESHOLDS, Rule, recorded_word

__all__ = ["Function", "Stateless", "stateless"]

Function = Callable[[np.ndarray], np.ndarray]
Stateless = tuple[Shape, Function]


def stateless(node: nir.NIRNode, name: str, shape: Shape, rule: Rule) -> Stateless:
    """Output shape and function of a node that gets `shape`.

    Raises:
        NIRGraphError: fields that contradict each other or `shape`.
        NotSupportedError: padding 'same' with a stride, a class that nir 1.0.8 does not have.
    """
    build = _BUILDERS.get(type(node))
    if build is None:
        raise NotSupportedError(f"no rule is known for {type(node).__name__}", node=name)
    return build(node, name, shape, rule)


def _linear(node: Any, name: str, shape: Shape, rule: Rule) -> Stateless:
    weight = floats(node, name, "weight").astype(rule.dtype)
    if weight.ndim < 2:
        raise NIRGraphError(
            f"expected [..., out, in], got shape {weight.shape}", node=name, field="weight"
        )
    takes, gives = (*weight.shape[:-2], weight.shape[-1]), weight.shape[:-1]
    if shape != takes:
        raise NIRGraphError(f"takes shape {takes}, but gets {shape}", node=name, field="weight")
    bias = np.zeros(1, rule.dtype)
    if isinstance(node, nir.Affine):
        bias = floats(node, name, "bias").astype(rule.dtype)
        if bias.shape not in (gives, gives[-1:]):
            raise NIRGraphError(
                f"expected shape {gives}, got {bias.shape}", node=name, field="bias"
            )
    if weight.ndim == 2:
        return gives, lambda x: x @ weight.T + bias
    return gives, lambda x: np.matmul(weight, x[..., None])[..., 0] + bias


def _scale(node: Any, name: str, shape: Shape, rule: Rule) -> Stateless:
    scale = _elementwise(node, name, "scale", shape).astype(rule.dtype)
    return shape, lambda x: x * scale


def _threshold(node: Any, name: str, shape: Shape, rule: Rule) -> Stateless:
    level = _elementwise(node, name, "threshold", shape).astype(rule.dtype)
    fires = rule.threshold or recorded_word(node, name, "fire", THRESHOLDS) or ">"
    test = np.greater if fires == ">" else np.greater_equal
    return shape, lambda x: test(x, level).astype(x.dtype)


def _elementwise(node: nir.NIRNode, name: str, field: str, shape: Shape) -> np.ndarray:
    values = floats(node, name, field)
    if values.shape != shape:
        if not values.shape:
            raise SingleNumberError(shape, node=name, field=field)
        raise NIRGraphError(f"has shape {values.shape}, but gets {shape}", node=name, field=field)
    return values


def _axes_advice(shape: Shape, expected: int) -> str:
    return "; shapes must not count batch or time" if len(shape) > expected else ""


# convolution and pooling, over one or two axes


def _conv(node: Any, name: str, shape: Shape, rule: Rule) -> Stateless:
    axes = 1 if isinstance(node, nir.Conv1d) else 2
    weight, bias, groups = _conv_weights(node, name, axes, rule)
    outputs, inputs = weight.shape[0], weight.shape[1] * groups
    if len(shape) != 1 + axes or shape[0] != inputs:
        takes = "L" if axes == 1 else "H, W"
        raise NIRGraphError(
            f"takes ({inputs}, {takes}), but gets {shape}{_axes_advice(shape, axes + 1)}",
            node=name,
            field="weight",
        )
    stated = shape_of(node.input_shape, name, "input_shape")
    if stated is not None and stated != shape[1:]:
        raise NIRGraphError(f"says {stated}, but gets {shape}", node=name, field="input_shape")
    stride = whole(node, name, "stride", 1, axes)
    dilation = whole(node, name, "dilation", 1, axes)
    spans = tuple(d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True))
    pads = _conv_pads(node, name, spans, stride)
    size = _window_count(shape, spans, stride, pads, name)
    columns = weight.reshape(groups, outputs // groups, -1)

    def run(x: np.ndarray) -> np.ndarray:
        windows = _windows(x, spans, stride, pads, dilation)  # [K, Ci, *size, *kernel]
        split = windows.reshape(len(x), groups, weight.shape[1], *size, *weight.shape[2:])
        # [K, groups, sites, taps]
        taps = np.moveaxis(split, 2, 2 + axes).reshape(len(x), groups, math.prod(size), -1)
        result = np.matmul(columns, taps.swapaxes(2, 3))  # [K, groups, Co / groups, sites]
        return result.reshape(len(x), outputs, *size) + bias.reshape(-1, *[1] * axes)

    return (outputs, *size), run


def _conv_weights(
    node: Any, name: str, axes: int, rule: Rule
) -> tuple[np.ndarray, np.ndarray, int]:
    """Weight, bias and groups that fit each other."""
    weight = floats(node, name, "weight").astype(rule.dtype)
    (groups,) = whole(node, name, "groups", 1, 1)
    if weight.ndim != 2 + axes:
        layout = "[Co, Ci/groups, K]" if axes == 1 else "[Co, Ci/groups, Kh, Kw]"
        raise NIRGraphError(
            f"expected {layout}, got shape {weight.shape}", node=name, field="weight"
        )
    outputs = weight.shape[0]
    if outputs % groups:
        raise NIRGraphError(
            f"{groups} does not divide the {outputs} output channels", node=name, field="groups"
        )
    bias = floats(node, name, "bias").astype(rule.dtype)
    if bias.shape != (outputs,):
        raise NIRGraphError(
            f"expected shape ({outputs},), got {bias.shape}", node=name, field="bias"
        )
    return weight, bias, groups


def _conv_pads(node: Any, name: str, spans: Shape, stride: Shape) -> list[tuple[int, int]]:
    if not isinstance(node.padding, str):
        return [(p, p) for p in whole(node, name, "padding", 0, len(spans))]
    if node.padding == "valid":
        return [(0, 0)] * len(spans)
    if node.padding != "same":
        raise NIRGraphError(
            f"expected integers, 'same' or 'valid', got {node.padding!r}",
            node=name,
            field="padding",
        )
    if max(stride) > 1:
        raise NotSupportedError("'same' needs stride 1", node=name, field="padding")
    return [((span - 1) // 2, span - 1 - (span - 1) // 2) for span in spans]


def _window_count(
    shape: Shape, spans: Shape, stride: Shape, pads: list[tuple[int, int]], name: str
) -> Shape:
    size = tuple(
        (length + sum(pad) - span) // step + 1
        for length, span, step, pad in zip(shape[1:], spans, stride, pads, strict=True)
    )
    if min(size) < 1:
        raise NIRGraphError(f"the kernel is larger than the padded input {shape}", node=name)
    return size


def _windows(
    x: np.ndarray, spans: Shape, stride: Shape, pads: list[tuple[int, int]], dilation: Shape
) -> np.ndarray:
    """A view `[K, C, *sites, *taps]` of the zero-padded input."""
    axes = tuple(range(2, 2 + len(spans)))
    padded = np.pad(x, [(0, 0), (0, 0), *pads])
    view = np.lib.stride_tricks.sliding_window_view(padded, spans, axes)
    steps = [slice(None, None, step) for step in (*stride, *dilation)]
    return view[(slice(None), slice(None), *steps)]


def _pool(node: Any, name: str, shape: Shape, rule: Rule) -> Stateless:
    if len(shape) != 3:
        raise NIRGraphError(f"takes (C, H, W), but gets {shape}{_axes_advice(shape, 3)}", node=name)
    kernel = whole(node, name, "kernel_size", 1, 2)
    stride = whole(node, name, "stride", 1, 2)
    pads = [(p, p) for p in whole(node, name, "padding", 0, 2)]
    size = _window_count(shape, kernel, stride, pads, name)
    area = math.prod(kernel) if isinstance(node, nir.AvgPool2d) else 1
    return (
        shape[0],
        *size,
    ), lambda x: _windows(x, kernel, stride, pads, (1, 1)).sum(axis=(4, 5)) / area


def _flatten(node: Any, name: str, shape: Shape, rule: Rule) -> Stateless:
    stated = shape_of(node.input_type["input"], name, "input_type")
    if stated is not None and stated != shape:
        raise NIRGraphError(f"says {stated}, but gets {shape}", node=name, field="input_type")
    ends: list[int] = []
    for field in ("start_dim", "end_dim"):
        (dim,) = whole(node, name, field, -len(shape), 1)
        if dim >= len(shape):
            raise NIRGraphError(f"{dim} is no axis of shape {shape}", node=name, field=field)
        ends.append(dim % len(shape))
    first, last = ends
    if first > last:
        raise NIRGraphError(f"lies behind end_dim={last}", node=name, field="start_dim")
    merged = (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])
    return merged, lambda x: x.reshape(len(x), *merged)


def _output(node: Any, name: str, shape: Shape, rule: Rule) -> Stateless:
    stated = shape_of(node.output_type["output"], name, "shape")
    if stated and stated != shape:
        raise NIRGraphError(f"says {stated}, but gets {shape}", node=name, field="shape")
    return shape, lambda x: x


def _input(node: Any, name: str, shape: Shape, rule: Rule) -> Stateless:
    """An Input of a nested graph; the others are given their values."""
    stated = shape_of(node.input_type["input"], name, "shape")
    if stated is not None and stated != shape:
        raise NIRGraphError(f"says {stated}, but gets {shape}", node=name, field="shape")
    return shape, lambda x: x


_BUILDERS: dict[type[nir.NIRNode], Callable[[Any, str, Shape, Rule], Stateless]] = {
    nir.Affine: _linear,
    nir.Linear: _linear,
    nir.Scale: _scale,
    nir.Threshold: _threshold,
    nir.Conv1d: _conv,
    nir.Conv2d: _conv,
    nir.SumPool2d: _pool,
    nir.AvgPool2d: _pool,
    nir.Flatten: _flatten,
    nir.Input: _input,
    nir.Output: _output,
}
