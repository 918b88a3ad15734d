"""Kernels over channels for CUDA, on the CPU: torch's own there, ours by emulated threads."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from sj_neurons.kernels import channels_cuda

DTYPES = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    numbers, *_ = channels_cuda.cuda_source("float32").partition('extern "C"')
    parts = [Path(__file__).with_name("cuda_emulation.h").read_text(), numbers]
    for dtype in DTYPES.values():
        source = channels_cuda.cuda_source(dtype)
        parts.append(source.removeprefix(numbers))
        io = source.partition("long long N, const ")[2].partition("*")[0]
        real = "double" if dtype == "float64" else "float"
        casts = ["", "", f"(const {io}*)", "", "", "", f"(const {real}*)", f"(const {real}*)"]
        casts.append(f"({io}*)")
        arguments = ", ".join(f"{cast}a[{i}]" for i, cast in enumerate(casts))
        parts.append(
            f'extern "C" void call_{dtype}(unsigned grid, const int64_t* a) {{ emulation::launch('
            f"grid, 128, [&] {{ sj_add_affine_{dtype}({arguments}); }}); }}"
        )
    folder = tmp_path_factory.mktemp("channels")
    text = folder / "kernels.cpp"
    text.write_text("\n".join(parts))
    command = ["g++", "-std=c++17", "-O1", "-ffp-contract=off", "-fno-strict-aliasing", "-w"]
    command += ["-fPIC", "-shared", str(text), "-o", str(folder / "kernels.so")]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(folder / "kernels.so"))


@pytest.mark.parametrize("dtype", DTYPES, ids=DTYPES.values())
@pytest.mark.parametrize(("inner", "size"), [(1, 5), (6, 5), (210, 1)])
@pytest.mark.parametrize("repeated", [False, True])
def test_an_affine_share_is_added(
    library: ctypes.CDLL, dtype: torch.dtype, inner: int, size: int, repeated: bool
) -> None:
    T, N = 3, 210
    real = torch.float64 if dtype == torch.float64 else torch.float32
    x, gradient = torch.randn(2, T, N).to(dtype).unbind()
    if repeated:
        x = x[:1].expand(T, N)
    c0, c1 = torch.randn(2, size, dtype=real).unbind()
    over = [c.repeat_interleave(inner).repeat(N // (inner * size)) for c in (c0, c1)]
    expected = (gradient.to(real) + (x.to(real) * over[1] + over[0])).to(dtype)
    values = (T, N, x.data_ptr(), x.stride(0), inner, size, c0.data_ptr(), c1.data_ptr())
    values = (*values, gradient.data_ptr())
    array = (ctypes.c_int64 * len(values))(*values)
    getattr(library, f"call_{DTYPES[dtype]}")(-(-N // 128), array)
    assert torch.equal(gradient, expected)


@pytest.mark.parametrize(("inner", "size"), [(1, 5), (6, 5), (210, 1)])
@pytest.mark.parametrize("steps", [1, 3])
def test_moments(inner: int, size: int, steps: int) -> None:
    x = torch.randn(3, 210) * 2 + 1
    mean, variance = channels_cuda.moments(x, steps, inner, size)
    values = x[:steps].double().reshape(-1, size, inner)
    expected, average = torch.var_mean(values, (0, 2), correction=0)
    torch.testing.assert_close(mean, average, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(variance, expected, rtol=1e-5, atol=1e-6)
    assert mean.dtype == variance.dtype == torch.float64
