from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import sj_nir
from sj_nir.cli import main

T, N = 8, 2


def full(n: int, **values: float) -> dict[str, Any]:
    return {field: np.full(n, value) for field, value in values.items()}


def lif(n: int = 3, **changes: float) -> nir.LIF:
    values = {"tau": 1e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.2, "v_reset": 0.0}
    return nir.LIF(**full(n, **{**values, **changes}))


def recurrent(bias: float = 0.0, **changes: float) -> nir.NIRGraph:
    """input 2 -> fc -> lif 3 -> output, with rec around lif."""
    weight = np.linspace(-1, 1, 9).reshape(3, 3)
    return nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([2])),
            "fc": nir.Affine(np.ones((3, 2)), np.array([0.1, 0.2, 0.3])),
            "lif": lif(**changes),
            "rec": nir.Affine(weight, np.full(3, bias)),
            "output": nir.Output(np.array([3])),
        },
        edges=[("input", "fc"), ("fc", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "output")],
        metadata={"made": "by hand", "numbers": np.arange(2)},
        type_check=False,
    )


def nested() -> nir.NIRGraph:
    inner = recurrent()
    return nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([2])),
            "rnn": inner,
            "out": nir.Linear(np.ones((1, 3))),
            "output": nir.Output(np.array([1])),
        },
        edges=[("input", "rnn"), ("rnn", "out"), ("out", "output")],
        type_check=False,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    sj_nir.write_graph(tmp_path / "net.nir", recurrent())
    return tmp_path / "net.nir"


@pytest.fixture
def nested_file(tmp_path: Path) -> Path:
    sj_nir.write_graph(tmp_path / "nested.nir", nested())
    return tmp_path / "nested.nir"


@pytest.fixture
def x_seq() -> np.ndarray:
    return np.random.default_rng(0).random((T, N, 2))


@pytest.fixture(name="recurrent")
def recurrent_builder() -> Callable[..., nir.NIRGraph]:
    return recurrent


@pytest.fixture(name="nested")
def nested_builder() -> Callable[..., nir.NIRGraph]:
    return nested


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command with bad input; the one line of its error."""

    def run(*argv: Any) -> str:
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in argv])
        assert caught.value.code == 2
        captured = capsys.readouterr()
        (line,) = captured.err.splitlines()
        assert line.startswith(f"sj-nir {argv[0]}: error: ")
        return line

    return run
