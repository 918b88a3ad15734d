"""sj-nir check --target, sj-nir quantise and sj-nir targets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import sj_nir
from sj_nir.cli import main


@pytest.fixture
def file(tmp_path: Path) -> Path:
    neuron = nir.LIF(
        tau=np.full(2, 1e-2),
        r=np.ones(2),
        v_leak=np.zeros(2),
        v_threshold=np.full(2, 0.1),
        v_reset=np.zeros(2),
    )
    weight = np.array([[1.0, 0.3, 0.0], [0.7, -0.1, 0.2]], np.float32)
    graph = nir.NIRGraph(
        {
            "input": nir.Input(np.array([3])),
            "fc": nir.Linear(weight),
            "lif": neuron,
            "output": nir.Output(np.array([2])),
        },
        [("input", "fc"), ("fc", "lif"), ("lif", "output")],
        type_check=False,
    )
    sj_nir.write_graph(tmp_path / "net.nir", graph)
    return tmp_path / "net.nir"


def status_of(*argv: Any) -> int:
    try:
        main([str(arg) for arg in argv])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_check_against_a_target(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("check", file, "--target", "spinnaker2") == 0
    assert "spinnaker2: nothing found" in capsys.readouterr().out
    assert status_of("check", file, "--target", "brainscales2") == 1
    out = capsys.readouterr().out
    assert "node 'lif': type of node: LIF (limit: Linear, CubaLI, CubaLIF) [1]" in out
    assert "[1] NIR documentation" in out


def test_unknown_targets(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (("check", file, "--target", "abc"), ("targets", "abc")):
        assert status_of(*argv) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "'abc'" in err and "xylo_imu" in err


def test_as_a_command() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "sj_nir.cli", "targets", "speck2f"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "kernel: 16 pixels per axis [2]" in run.stdout


def test_targets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("targets") == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in listed] == list(sj_nir.targets.names())
    for name in sj_nir.targets.names():
        assert status_of("targets", name) == 0
        out = capsys.readouterr().out
        assert "types of nodes: " in out
        assert "  [1] " in out and "https://" in out


def test_quantise(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "q.nir"
    assert status_of("quantise", file, out, "--bits", 4) == 0
    assert capsys.readouterr().out == f"{out}\n"
    weight = sj_nir.read_graph(out).nodes["fc"].weight  # type: ignore[attr-defined]
    np.testing.assert_allclose(weight * 7, [[7, 2, 0], [5, -1, 1]], rtol=1e-6)
    argv = ["--field", "v_threshold", "--field", "weight", "--per", "channel"]
    assert status_of("quantise", file, out, *argv) == 0
    record: Any = sj_nir.read_graph(out).nodes
    assert record["fc"].metadata["sj_nir"]["quantised"]["weight"]["per"] == "channel"
    assert "v_threshold" in record["lif"].metadata["sj_nir"]["quantised"]


def test_quantise_and_compare(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((50, 3)))
    out = tmp_path / "q.nir"
    argv = ["quantise", file, out, "--bits", "3", "--compare", tmp_path / "x.npy", "--dt", "1e-3"]
    assert status_of(*argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [str(out), "50 steps, 1 samples"]
    assert lines[2].startswith("node 'fc', field 'weight': off by at most ")
    assert lines[3].startswith("node 'lif': ") and "in common" in lines[3]
    assert lines[4].startswith("output 'output': ")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--bits", "1"], "invalid choice: 1"),
        (["--field", "tau"], "invalid choice: 'tau'"),
        (["--compare", "missing.npy"], "missing.npy: no such file"),
        (["--compare", "wrong.npy"], "expected input [T, N, 3]"),
    ],
)
def test_refused(
    file: Path,
    tmp_path: Path,
    argv: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("wrong.npy", np.zeros(3))
    assert status_of("quantise", file, "q.nir", *argv) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
    assert not Path("q.nir").exists()
