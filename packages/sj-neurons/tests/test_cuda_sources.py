"""Every CUDA kernel compiles; no GPU is needed. The work is done by tools/cuda_sources.py."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sj_neurons import neuron, surrogate

TOOLS = Path(__file__).resolve().parents[3] / "tools"


@pytest.fixture(scope="module")
def tool() -> Any:
    if not (TOOLS / "cuda_sources.py").is_file():
        pytest.skip("tools/cuda_sources.py is only in the repository")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOOLS))
        import cuda_sources

        yield cuda_sources


def test_a_cover_of_neurons_surrogates_dtypes_and_forms_compiles(tool: Any) -> None:
    command = [sys.executable, str(TOOLS / "cuda_sources.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == tool.NO_COMPILER:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    assert "kernels compiled" in done.stdout


def test_any_two_values_meet_in_the_cover(tool: Any) -> None:
    rows = tool.cover(tool.FACTORS)
    for (i, first), (j, second) in itertools.combinations(enumerate(tool.FACTORS), 2):
        assert {(row[i], row[j]) for row in rows} == set(itertools.product(first, second))


def test_a_cover_of_unequal_factors_is_complete(tool: Any) -> None:
    factors = [("a", "b"), (1,), (True, False), "xyz"]
    rows = tool.cover(factors)
    assert {(row[2], row[3]) for row in rows} == set(itertools.product((True, False), "xyz"))
    assert {(row[0], row[3]) for row in rows} == set(itertools.product("ab", "xyz"))


def test_a_source_that_does_not_compile_is_told(tool: Any) -> None:
    if tool.compiler() is None:
        pytest.skip("neither NVRTC nor nvcc is here")
    row = tool.Row("none", "none", "float32", "hard", False, "sm_80", "forward")
    kernel = tool.Kernel(row, "struct @ { wrong };", tool.Form("forward"))
    compiled, error = tool.compile_unit([kernel])
    assert compiled == []
    assert "does not compile" in error and "none" in error and "wrong" in error


def test_every_neuron_with_this_backend_is_compiled(tool: Any) -> None:
    listed = {name.partition("-")[0] for name in tool.NEURONS}
    for name in neuron.__all__:
        cls = getattr(neuron, name)
        if not isinstance(cls, type) or "Base" in name or name in listed:
            continue
        try:
            backends = cls().supported_backends
        except (TypeError, ValueError):  # it has no default arguments
            continue
        assert "cupy" not in backends, f"add {name} to NEURONS in tools/cuda_sources.py"


def test_every_surrogate_is_compiled(tool: Any) -> None:
    for name in surrogate.__all__:
        cls = getattr(surrogate, name)
        random = name in ("PoissonPass", "SurrogateFunction")
        if isinstance(cls, type) and issubclass(cls, surrogate.SurrogateFunction) and not random:
            assert name in tool.SURROGATES
