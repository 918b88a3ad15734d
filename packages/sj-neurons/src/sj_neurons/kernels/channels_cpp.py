"""Runs the C++ kernels of channels.h: what a normalisation over channels needs beside the neuron.

Tensors lie flat in memory, as in :mod:`.cpp`; neuron n belongs to channel `(n // inner) % size`.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from .compile_cpp import load
from .cpp import DTYPES
from .emit_cpp import prelude

__all__ = ["add_affine", "moments", "prepare"]

_WORTH_A_THREAD = 1 << 15  # numbers
_WORTH_A_PART = 1 << 16  # numbers summed on their own, whatever the threads
_MOST_PARTS = 64


@cache
def prepare() -> ctypes.CDLL:
    """The library, compiled if need be.

    Raises:
        CompilerError: see :func:`sj_neurons.kernels.compile_cpp.load`.
    """
    text = Path(__file__).with_name("channels.h").read_text(encoding="utf-8")
    library = load(f"{prelude()}\n{text}")
    for kind in ("moments", "add_affine"):
        for dtype in DTYPES.values():
            getattr(library, f"sj_{kind}_{dtype}").restype = None
    return library


def moments(x: Tensor, T: int, inner: int, size: int) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel in float64, over the first T rows `[N]` of `x`."""
    N = x.shape[1]
    mean = torch.empty(size, dtype=torch.float64)
    variance = torch.empty_like(mean)
    rows = T * (N // (inner * size))
    parts = max(1, min(rows, _MOST_PARTS, T * N // _WORTH_A_PART))
    addresses = (mean.data_ptr(), variance.data_ptr())
    _run("moments", x, T, (min(_threads(T * N), parts), parts), (inner, size), addresses)
    return mean, variance


def add_affine(gradient: Tensor, x: Tensor, inner: int, size: int, c0: Tensor, c1: Tensor) -> None:
    """Add `c0 + c1 x`, with `c0` and `c1` `[size]` of the channel, to `gradient` `[T, N]`."""
    T, N = gradient.shape
    addresses = (c0.data_ptr(), c1.data_ptr(), gradient.data_ptr())
    _run("add_affine", x, T, (_threads(T * N), 0), (inner, size), addresses)


def _threads(numbers: int) -> int:
    return max(1, min(torch.get_num_threads(), numbers // _WORTH_A_THREAD))


def _run(
    kind: str,
    x: Tensor,
    T: int,
    sharing: tuple[int, int],
    spread: tuple[int, int],
    addresses: tuple[int, ...],
) -> None:
    values = (T, x.shape[1], *sharing, x.data_ptr(), x.stride(0), *spread, *addresses)
    function = getattr(prepare(), f"sj_{kind}_{DTYPES[x.dtype]}")
    function((ctypes.c_int64 * len(values))(*values))
