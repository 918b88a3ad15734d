"""tools/gpu_check.py and its count of bytes, on a machine without a GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sj_neurons import neuron, surrogate
from sj_neurons.kernels import cuda, trace

TOOLS = Path(__file__).resolve().parents[3] / "tools"
LIF = neuron.LIFNode(2.0, surrogate_function=surrogate.ATan(), detach_reset=True)


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Any:
    if not (TOOLS / "gpu_check.py").is_file():
        pytest.skip("tools/gpu_check.py is only in the repository")
    monkeypatch.syspath_prepend(str(TOOLS))
    import gpu_benchmarks

    return gpu_benchmarks


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_fails(benchmarks: Any) -> None:
    command = [sys.executable, str(TOOLS / "gpu_check.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("gpu_check: there is no GPU to use here: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("T", "dtype", "forward", "backward"),
    [
        (16, torch.float32, 8.0, 12.0),
        (16, torch.bfloat16, 4.0, 6.0),
        (32, torch.float16, 4.0, 6.0),
        # the input is read again but for the last 16 steps; 3 states are written and read
        (64, torch.float32, 8.0, 16.0 - 4.0 * 16 / 64 + 8.0 * 3 / 64),
    ],
)
def test_bytes_per_neuron_step_are_those_of_recomputing(
    benchmarks: Any, monkeypatch: pytest.MonkeyPatch,
    T: int, dtype: torch.dtype, forward: float, backward: float,
) -> None:  # fmt: skip
    found: list[cuda.Launch] = []
    monkeypatch.setattr(cuda, "_run", lambda launch, device: found.append(launch))
    traced = trace.trace(LIF)
    x = torch.empty(T, 64, dtype=dtype)
    common = (traced.program.text, x, T, [None], [], traced.numbers, [0.0])
    cuda.forward(*common, torch.empty_like(x), None, [None])
    gradient = torch.empty_like(x)
    cuda.backward(*common, gradient, None, [None], torch.empty_like(x), [None], [])
    assert [benchmarks.bytes_of(launch) / (T * 64) for launch in found] == [forward, backward]


def test_last_states_and_repeated_frames_are_counted_once(
    benchmarks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[cuda.Launch] = []
    monkeypatch.setattr(cuda, "_run", lambda launch, device: found.append(launch))
    traced = trace.trace(LIF)
    frame, last = torch.empty(1, 64), torch.empty(64)
    common = (traced.program.text, frame, 4, [last], [], traced.numbers, [0.0])
    cuda.forward(*common, torch.empty(4, 64), None, [torch.empty(64)])
    assert benchmarks.bytes_of(found[0]) == 64 * 4 * (1 + 4 + 2)
