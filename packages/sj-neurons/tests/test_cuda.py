"""What the CUDA launcher decides, without a GPU; what the kernels compute: test_emit_cuda.py."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from sj_neurons import neuron, surrogate
from sj_neurons.kernels import compile_cuda, cuda, trace
from sj_neurons.kernels.emit_cuda import OPTIONS, Form
from sj_neurons.kernels.plan import plan

LIF = neuron.LIFNode(2.0, surrogate_function=surrogate.ATan(), detach_reset=True)
PLAN = plan(trace.trace(LIF).program.text)


class NVRTCError(RuntimeError):
    pass


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A CuPy that compiles to text and counts how often."""
    module, sub = ModuleType("cupy"), ModuleType("cupy.cuda")
    compiled: list[tuple[str, ...]] = []

    def compile_program(program: str, options: tuple[str, ...]) -> None:
        if "wrong" in program:
            raise NVRTCError("NVRTC_ERROR_COMPILATION")
        compiled.append(options)

    sub.nvrtc = SimpleNamespace(  # pyright: ignore[reportAttributeAccessIssue]
        NVRTCError=NVRTCError,
        getVersion=lambda: (13, 5),
        getSupportedArchs=lambda: (75, 80, 90),
        createProgram=lambda source, *_: source,
        compileProgram=compile_program,
        getCUBIN=lambda program: b"cubin " + program.encode(),
        getPTX=lambda program: b"ptx " + program.encode(),
        getProgramLog=lambda program: f"cannot read {program}",
        destroyProgram=lambda program: None,
    )
    sub.is_available = lambda: False  # pyright: ignore[reportAttributeAccessIssue]
    module.cuda = sub  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setitem(sys.modules, "cupy.cuda", sub)
    monkeypatch.setenv("SJ_NEURONS_CACHE", str(tmp_path / "cache"))
    compile_cuda._architecture.cache_clear()
    compile_cuda.why_unavailable.cache_clear()
    yield SimpleNamespace(compiled=compiled, cuda=sub)
    compile_cuda._architecture.cache_clear()
    compile_cuda.why_unavailable.cache_clear()


@pytest.mark.parametrize(
    ("torch_cuda", "extra"), [("12.8", "cuda12"), ("13.0", "cuda13"), (None, "cuda13")]
)
def test_without_cupy_the_extra_is_named(
    cupy: Any, monkeypatch: pytest.MonkeyPatch, torch_cuda: str | None, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(torch.version, "cuda", torch_cuda)
    reason = f"CuPy is not installed: pip install 'sj-neurons[{extra}]'"
    assert cuda.why_unavailable() == reason


def test_without_a_device_that_is_the_reason(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert cuda.why_unavailable() == "there is no CUDA device"


def test_a_torch_without_cuda_is_the_reason(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "built without CUDA" in str(cuda.why_unavailable())


def test_a_compiled_kernel_is_kept_on_disk(cupy: Any, tmp_path: Path) -> None:
    assert compile_cuda._binary("text", "sm_90") == b"cubin text"
    assert compile_cuda._binary("text", "sm_90") == b"cubin text"
    assert cupy.compiled == [(*OPTIONS, "-arch=sm_90")]
    assert compile_cuda._binary("text", "sm_80") == b"cubin text"
    assert compile_cuda._binary("other", "sm_80") == b"cubin other"
    assert len(cupy.compiled) == 3
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_a_damaged_file_is_compiled_anew(cupy: Any, tmp_path: Path) -> None:
    compile_cuda._binary("text", "sm_90")
    (path,) = (tmp_path / "cache").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert compile_cuda._binary("text", "sm_90") == b"cubin text"
    assert len(cupy.compiled) == 2
    compile_cuda._binary("text", "sm_90")
    assert len(cupy.compiled) == 2


def test_a_cache_that_cannot_be_written_does_not_matter(cupy: Any, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, no folder")
    assert compile_cuda._binary("text", "sm_90") == b"cubin text"


def test_an_error_shows_the_compiler_s_log(cupy: Any) -> None:
    with pytest.raises(RuntimeError, match=r"NVRTC fails on a kernel.*\ncannot read wrong"):
        compile_cuda._binary("wrong", "sm_90")


@pytest.mark.parametrize(
    ("capability", "expected"), [((9, 0), "sm_90"), ((12, 0), "compute_90"), ((8, 6), "compute_80")]
)
def test_a_device_unknown_to_nvrtc_gets_ptx_of_an_older_one(
    cupy: Any, monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert compile_cuda._architecture(0) == expected
    if expected.startswith("compute"):
        assert compile_cuda._binary("text", expected) == b"ptx text"


def test_a_device_older_than_nvrtc_knows_is_refused(
    cupy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
    with pytest.raises(RuntimeError, match=r"capability 7\.5 and newer; this GPU has 6\.1"):
        compile_cuda._architecture(0)


def test_nothing_is_compiled_while_a_graph_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(RuntimeError, match="run the same call once before the capture"):
        compile_cuda.function(0, "text", "never compiled")


@pytest.mark.parametrize(
    ("T", "itemsize", "form"),
    [
        (4, 4, Form("backward", 4, 4)),
        (16, 4, Form("backward", 2, 16)),
        (32, 4, Form("backward", 1, 32)),
        (33, 4, Form("backward", 1, 0)),
        (4, 2, Form("backward", 8, 4)),
        (32, 2, Form("backward", 2, 32)),
    ],
)
def test_tiles_stay_within_the_registers(T: int, itemsize: int, form: Form) -> None:
    assert cuda.backward_form(PLAN, T, itemsize, 16 // itemsize) == form


def test_neurons_share_a_thread_only_where_they_share_parameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cuda, "_WIDE", 1)
    x = torch.zeros(1, 320)
    assert cuda._widest((x, None), 320, []) == 4
    assert cuda._widest((x.to(torch.bfloat16),), 320, []) == 8
    assert cuda._widest((x.double(),), 320, []) == 2
    assert cuda._widest((x,), 320, [(x, 16, 5)]) == 4
    assert cuda._widest((x,), 320, [(x, 1, 5)]) == 1
    assert cuda._widest((x,), 320, [(x, 1, 320)]) == 4
    assert cuda._widest((x,), 320, [(x, 7, 1)]) == 4


def test_what_is_not_aligned_is_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "_WIDE", 1)
    x = torch.zeros(3, 320)
    assert cuda._widest((x[:, :316],), 316, []) == 4
    assert cuda._widest((x[:, 1:317],), 316, []) == 1
    assert cuda._widest((torch.zeros(3, 318)[:, :316],), 316, []) == 1
    monkeypatch.setattr(cuda, "_WIDE", 1 << 20)
    assert cuda._widest((x,), 320, []) == 1


@pytest.mark.parametrize("N", [1, 31, 8192, 1 << 16, 1 << 22])
def test_the_grid_covers_all_neurons_once(monkeypatch: pytest.MonkeyPatch, N: int) -> None:
    found: list[cuda.Launch] = []
    monkeypatch.setattr(cuda, "_run", lambda launch, device: found.append(launch))
    x = torch.empty(1, N).expand(2, N)
    cuda.forward(PLAN.program.text, x, 2, [None], [], [2.0] * PLAN.program.numbers, [0.0],
                 torch.empty(2, N, device="meta"), None, [None])  # fmt: skip
    (launch,) = found
    threads = launch.grid * launch.block
    assert N <= threads * launch.form.width < N + launch.block * launch.form.width
    assert launch.block in (32, 64, 128)


def test_no_neurons_no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "_run", lambda launch, device: pytest.fail("launched"))
    empty = torch.empty(2, 0)
    cuda.forward(PLAN.program.text, empty, 2, [None], [], [2.0] * PLAN.program.numbers, [0.0],
                 torch.empty(2, 0), None, [None])  # fmt: skip


@pytest.mark.parametrize(("inner", "size", "n"), [(1, 5, 30), (3, 5, 30), (30, 1, 30), (3, 5, 34)])
def test_shares_are_summed_by_parameter(inner: int, size: int, n: int) -> None:
    share = torch.rand(n, generator=torch.Generator().manual_seed(0))
    expected = torch.zeros(size, dtype=torch.float64)
    for i, value in enumerate(share.tolist()):
        expected[i // inner % size] += value
    torch.testing.assert_close(cuda._summed(share, inner, size), expected)


def test_an_unknown_dtype_is_refused() -> None:
    x = torch.zeros(2, 3, dtype=torch.int32)
    with pytest.raises(TypeError, match=r"backend='cupy' computes in float32.*got torch.int32"):
        cuda.forward(PLAN.program.text, x, 2, [None], [], [], [0.0], x, None, [None])
