"""What a normalisation over channels needs beside the neuron, on CUDA.

Tensors lie flat in memory, as in :mod:`.cuda`; neuron n belongs to channel `(n // inner) % size`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from .compile_cuda import function, stream
from .cuda import DTYPES

__all__ = ["add_affine", "cuda_source", "moments"]

_BLOCK = 128
_TYPES = {
    "float32": ("float", "float"), "float64": ("double", "double"),
    "float16": ("sj::half", "float"), "bfloat16": ("sj::bf16", "float"),
}  # fmt: skip

# one thread per neuron, which finds its channel once for all steps
_SOURCE = """
extern "C" __global__ void __launch_bounds__(@BLOCK@) sj_add_affine_@DTYPE@(
    long long T, long long N, const @IO@* __restrict__ x, long long x_stride, long long inner,
    long long size, const @R@* __restrict__ c0, const @R@* __restrict__ c1, @IO@* gradient
) {
    const long long n = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (n >= N) return;
    const bool small = N < (1ll << 32);
    const long long channel = small ? (unsigned)n / (unsigned)inner % (unsigned)size
                                    : n / inner % size;
    const @R@ a = c0[channel], b = c1[channel];
    #pragma unroll 4
    for (long long t = 0; t < T; ++t) {
        @IO@* to = gradient + t * N + n;
        sj::put(*to, sj::number(*to) + (sj::number(x[t * x_stride + n]) * b + a));
    }
}
"""


def cuda_source(dtype: str) -> str:
    """The kernel `sj_add_affine_<dtype>`, with what it needs."""
    numbers = Path(__file__).with_name("cuda_numbers.h").read_text(encoding="utf-8")
    io, real = _TYPES[dtype]
    text = _SOURCE
    for name, value in (("DTYPE", dtype), ("IO", io), ("R", real), ("BLOCK", str(_BLOCK))):
        text = text.replace(f"@{name}@", value)
    return numbers + text


_source = cache(cuda_source)


def moments(x: Tensor, T: int, inner: int, size: int) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel in float64, over the first T rows `[N]` of `x`."""
    steps = x[:T].reshape(-1)
    if inner == 1:  # as channels-last, for which torch has a kernel of its own
        batch = steps.view(1, -1, 1, size).permute(0, 3, 1, 2)
    else:
        batch = steps.view(-1, size, inner)
    mean, variance = torch.ops.aten.batch_norm_update_stats(batch, None, None, 0.0)
    return mean.double(), variance.double()


def add_affine(gradient: Tensor, x: Tensor, inner: int, size: int, c0: Tensor, c1: Tensor) -> None:
    """Add `c0 + c1 x`, with `c0` and `c1` `[size]` of the channel, to `gradient` `[T, N]`."""
    T, N = gradient.shape
    if N == 0:
        return
    dtype = DTYPES[x.dtype]
    x_stride = 0 if T == 1 else x.stride(0)
    sizes = (T, N, x.data_ptr(), x_stride, inner, size)
    arguments = (*sizes, c0.data_ptr(), c1.data_ptr(), gradient.data_ptr())
    index = torch.cuda.current_device() if x.device.index is None else x.device.index
    with torch.cuda.device(index):
        kernel = function(index, _source(dtype), f"sj_add_affine_{dtype}")
        current = stream(torch.cuda.current_stream(index).cuda_stream)
        grid = -(-N // _BLOCK)
        kernel((grid,), (_BLOCK,), arguments, stream=current)
