"""Chips that compute 2d convolutions; a Linear counts as one over the map that was flattened."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from ...interpreter import Program
from ...interpreter.fields import whole
from ..target import Finding, Limit

__all__ = [
    "channels",
    "core_memory",
    "cores",
    "input_size",
    "kernel_size",
    "output_size",
    "padding",
    "pooling",
    "square_kernel",
    "stride",
]

Pair = tuple[int, ...]


@dataclass(frozen=True)
class _Layer:
    """A convolution; pairs are height and width, a padding that of the wider side."""

    name: str
    channels_in: int
    channels_out: int
    kernel: Pair
    stride: Pair
    padding: Pair
    size_in: Pair
    size_out: Pair

    @property
    def kernel_entries(self) -> int:
        """Entries of kernel memory: c 2^(ceil(log2(kx ky)) + ceil(log2(f)))."""
        taps, filters = math.prod(self.kernel), self.channels_out
        return self.channels_in << ((taps - 1).bit_length() + (filters - 1).bit_length())

    @property
    def neuron_entries(self) -> int:
        """Entries of neuron memory: f fx fy."""
        return self.channels_out * math.prod(self.size_out)


def _layers(program: Program) -> Iterator[_Layer]:
    for name, node in program.graph.nodes.items():
        if isinstance(node, nir.Conv2d):
            yield _convolution(program, name)
        elif isinstance(node, nir.Affine | nir.Linear):
            yield _as_convolution(program, name)


def _convolution(program: Program, name: str) -> _Layer:
    node: Any = program.graph.nodes[name]
    shape = program.shapes[program.graph.sources[name][0]]
    kernel = node.weight.shape[2:]
    if isinstance(node.padding, str):
        dilation = whole(node, name, "dilation", 1, 2)
        spread = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        pads = tuple((n + 1) // 2 if node.padding == "same" else 0 for n in spread)
    else:
        pads = whole(node, name, "padding", 0, 2)
    outputs, *size = program.shapes[name]
    strides = whole(node, name, "stride", 1, 2)
    return _Layer(name, shape[0], outputs, kernel, strides, pads, shape[1:], tuple(size))


def _as_convolution(program: Program, name: str) -> _Layer:
    node: Any = program.graph.nodes[name]
    outputs, inputs = np.shape(node.weight)[-2:]
    sources = program.graph.sources[name]
    size: Pair = (1, 1)
    if isinstance(program.graph.nodes[sources[0]], nir.Flatten):
        shape = program.shapes[program.graph.sources[sources[0]][0]]
        if len(shape) == 3:
            inputs, size = shape[0], shape[1:]
    return _Layer(name, inputs, outputs, size, (1, 1), (0, 0), size, (1, 1))


def _shown(pair: Pair) -> str:
    return " x ".join(map(str, pair))


def _larger(name: str, field: str | None, pair: Pair, limit: Limit) -> Iterator[Finding]:
    if max(pair) > limit.value:
        yield Finding(name, field, limit, _shown(pair))


def input_size(program: Program, limit: Limit) -> Iterator[Finding]:
    """Maps that enter a layer have at most `value` pixels per axis."""
    for layer in _layers(program):
        yield from _larger(layer.name, None, layer.size_in, limit)


def output_size(program: Program, limit: Limit) -> Iterator[Finding]:
    """Maps of neurons have at most `value` pixels per axis."""
    for layer in _layers(program):
        yield from _larger(layer.name, None, layer.size_out, limit)


def channels(program: Program, limit: Limit) -> Iterator[Finding]:
    """Layers have at most `value` channels, before and after."""
    for layer in _layers(program):
        for found in sorted({layer.channels_in, layer.channels_out}):
            if found > limit.value:
                yield Finding(layer.name, "weight", limit, f"{found}")


def kernel_size(program: Program, limit: Limit) -> Iterator[Finding]:
    """Kernels have at most `value` pixels per axis."""
    for layer in _layers(program):
        yield from _larger(layer.name, "weight", layer.kernel, limit)


def square_kernel(program: Program, limit: Limit) -> Iterator[Finding]:
    """Kernels are as high as wide; the value is only shown."""
    for layer in _layers(program):
        if len(set(layer.kernel)) > 1:
            yield Finding(layer.name, "weight", limit, _shown(layer.kernel))


def stride(program: Program, limit: Limit) -> Iterator[Finding]:
    """Strides are among `value`, each axis by itself."""
    for layer in _layers(program):
        if not set(layer.stride) <= set(limit.value):
            yield Finding(layer.name, "stride", limit, _shown(layer.stride))


def padding(program: Program, limit: Limit) -> Iterator[Finding]:
    """At most `value` pixels are added on each side."""
    for layer in _layers(program):
        yield from _larger(layer.name, "padding", layer.padding, limit)


def pooling(program: Program, limit: Limit) -> Iterator[Finding]:
    """Pooling windows are square, their size among `value`."""
    for name, node in program.graph.nodes.items():
        if isinstance(node, nir.SumPool2d | nir.AvgPool2d):
            window = whole(node, name, "kernel_size", 1, 2)
            if len(set(window)) > 1 or window[0] not in limit.value:
                yield Finding(name, "kernel_size", limit, _shown(window))


def cores(program: Program, limit: Limit) -> Iterator[Finding]:
    """There are at most `value` layers."""
    count = sum(1 for _ in _layers(program))
    if count > limit.value:
        yield Finding(None, None, limit, f"{count}")


def core_memory(program: Program, limit: Limit) -> Iterator[Finding]:
    """Each layer finds a core of its own with enough memory.

    `value` has, for each core, the entries of its kernel memory and of its neuron memory.
    """
    users: dict[int, _Layer] = {}

    def placed(layer: _Layer, tried: set[int]) -> bool:
        for core, (kernels, maps) in enumerate(limit.value):
            fits = layer.kernel_entries <= kernels and layer.neuron_entries <= maps
            if not fits or core in tried:
                continue
            tried.add(core)
            if core not in users or placed(users[core], tried):
                users[core] = layer
                return True
        return False

    for layer in _layers(program):
        if not placed(layer, set()):
            found = f"{layer.kernel_entries}/{layer.neuron_entries}, which no free core has"
            yield Finding(layer.name, None, limit, found)
