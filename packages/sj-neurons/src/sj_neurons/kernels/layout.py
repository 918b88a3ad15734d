"""Tensors of any dense layout as rows of neurons, and parameters as repeated vectors.

Kernels are element-wise, so the order in which the neurons of a step lie in memory is all the same
to them, as long as all tensors share it: channels-last goes in and channels-last comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Rows", "Spread", "broadcasts", "is_dense"]


@dataclass(frozen=True)
class Rows:
    """The layout of a sequence: shape `[N, *]` of a step, its strides, and the number of neurons.

    Strides are those of a dense step; a time step follows the other without a gap.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    neurons: int

    @classmethod
    def of(cls, x_seq: Tensor) -> tuple[Rows, Tensor]:
        """The layout of `x_seq` `[T, N, *]`, and its rows `[T, N]`; copied only if not dense."""
        shape = tuple(x_seq.shape[1:])
        strides = tuple(x_seq.stride()[1:])
        if not is_dense(shape, strides):
            x_seq = x_seq.contiguous()
            strides = tuple(x_seq.stride()[1:])
        neurons = 1
        for size in shape:
            neurons *= size
        rows = cls(shape, strides, neurons)
        return rows, rows.flat_sequence(x_seq)

    def flat_sequence(self, tensor: Tensor) -> Tensor:
        """`[T, *]` of this layout as `[T, N]`."""
        steps = tensor.shape[0]
        stride = self.neurons if steps == 1 else tensor.stride(0)
        return tensor.as_strided((steps, self.neurons), (stride, 1))

    def fitting_sequence(self, tensor: Tensor) -> Tensor:
        """`[T, *]` of any layout as `[T, N]`; copied only if laid out in another way."""
        if not self._fits(tensor.stride()[1:]):
            copy = self.new_sequence(tensor.shape[0], tensor.dtype, tensor.device)
            tensor = copy.copy_(tensor)
        return self.flat_sequence(tensor)

    def fitting_step(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        """`[*]` of any layout and dtype as `[N]`; copied only if need be."""
        if tensor.dtype != dtype or not self._fits(tensor.stride()):
            tensor = self.new_step(dtype, tensor.device).copy_(tensor)
        return tensor.as_strided((self.neurons,), (1,))

    def new_sequence(self, steps: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """An empty `[T, *]`."""
        strides = (self.neurons, *self.strides)
        return torch.empty_strided((steps, *self.shape), strides, dtype=dtype, device=device)

    def new_step(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """An empty `[*]`."""
        return torch.empty_strided(self.shape, self.strides, dtype=dtype, device=device)

    def flat_step(self, tensor: Tensor) -> Tensor:
        """`[*]` of this layout as `[N]`."""
        return tensor.as_strided((self.neurons,), (1,))

    def _fits(self, strides: Sequence[int]) -> bool:
        own = zip(self.shape, self.strides, strides, strict=True)
        return all(size == 1 or stride == other for size, stride, other in own)


def is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether the elements fill one stretch of memory, each place once."""
    expected = 1
    for stride, size in sorted((s, n) for n, s in zip(shape, strides, strict=True) if n != 1):
        if stride != expected:
            return False
        expected *= size
    return True


def broadcasts(shape: Sequence[int], to: Sequence[int]) -> bool:
    """Whether a tensor of `shape` broadcasts to exactly the shape `to`."""
    sizes = zip(reversed(shape), reversed(to), strict=False)
    return len(shape) <= len(to) and all(own in (1, size) for own, size in sizes)


@dataclass(frozen=True)
class Spread:
    """A parameter over the neurons of a step: neuron n takes `values[(n // inner) % size]`."""

    values: Tensor  # [size]
    inner: int
    size: int
    order: tuple[int, ...]  # dimensions of the parameter, as they lie in memory
    shape: tuple[int, ...]  # of the parameter

    @classmethod
    def over(cls, parameter: Tensor, rows: Rows) -> Spread:
        """How `parameter` meets each step of `rows`, to which it broadcasts."""
        shape = tuple(parameter.shape)
        aligned = (1,) * (len(rows.shape) - len(shape)) + shape
        if parameter.numel() == 1:
            return cls(parameter.reshape(1), rows.neurons, 1, (), shape)
        in_memory = sorted(
            (d for d, size in enumerate(rows.shape) if size != 1),
            key=lambda d: rows.strides[d],
            reverse=True,
        )
        own = [d for d in in_memory if aligned[d] != 1]
        start = in_memory.index(own[0])
        if own != in_memory[start : start + len(own)]:  # torn apart: one value per neuron
            full = parameter.expand(rows.shape)
            values = rows.fitting_step(full, full.dtype)
            return cls(values, 1, rows.neurons, tuple(in_memory), shape)
        inner = 1
        for d in in_memory[start + len(own) :]:
            inner *= rows.shape[d]
        values = parameter.reshape(aligned).permute(_first(own, len(aligned))).reshape(-1)
        return cls(values.contiguous(), inner, values.numel(), tuple(own), shape)

    def gradient(self, parts: Tensor, rows: Rows, dtype: torch.dtype) -> Tensor:
        """The gradient of the parameter from sums `[parts, size]` over its neurons."""
        total = parts.sum(0).to(dtype)
        if not self.order:
            return total.reshape(self.shape)
        order = _first(self.order, len(rows.shape))
        back = [order.index(d) for d in range(len(order))]
        sizes = [rows.shape[d] if d in self.order else 1 for d in order]
        return total.reshape(sizes).permute(back).sum_to_size(self.shape)


def _first(chosen: Sequence[int], count: int) -> list[int]:
    """A permutation of `count` dimensions that begins with those `chosen`."""
    return [*chosen, *(d for d in range(count) if d not in chosen)]
