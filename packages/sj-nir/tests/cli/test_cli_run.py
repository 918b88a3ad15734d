"""sj-nir run: computes a graph on recorded input, as arrays or NIR data."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

import sj_nir
from sj_nir.cli import main

Refused = Callable[..., str]
T, N = 8, 2


def test_run_equals_the_interpreter(
    file: Path, x_seq: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "in.npy", x_seq)
    argv = ["run", file, tmp_path / "in.npy", tmp_path / "out.npz", "--record", "lif"]
    main([str(word) for word in [*argv, "--dt", "5e-4", "--reset", "soft", "--cut", "current"]])
    expected = sj_nir.interpret(file, x_seq, 5e-4, reset="soft", cut="current", record=["lif"])
    with np.load(tmp_path / "out.npz") as found:
        assert found.files == ["output", "lif.out", "lif.v", "lif.h"]
        np.testing.assert_array_equal(found["output"], expected.out)
        np.testing.assert_array_equal(found["lif.v"], expected.traces["lif"]["v"])
    assert f"output: [8, 2, 3], sum {expected.out.sum():.6g}" in capsys.readouterr().out


def test_run_without_batch_axis_from_npz(file: Path, x_seq: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", input=x_seq[:, 0])
    main(["run", str(file), str(tmp_path / "in.npz"), str(tmp_path / "out.npz")])
    expected = sj_nir.interpret(file, x_seq[:, :1]).out[:, 0]
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_array_equal(found["output"], expected)


@pytest.mark.parametrize("cut", ["neuron", "current"])
def test_run_with_torch_gives_the_same(
    cut: str, file: Path, x_seq: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "in.npy", x_seq)
    common = ["run", str(file), str(tmp_path / "in.npy")]
    for backend in ("numpy", "torch"):
        out = str(tmp_path / f"{backend}.npz")
        main([*common, out, "--backend", backend, "--record", "rec", "--cut", cut])
    with np.load(tmp_path / "numpy.npz") as ours, np.load(tmp_path / "torch.npz") as theirs:
        np.testing.assert_array_equal(ours["output"], theirs["output"])
        np.testing.assert_allclose(ours["rec.out"], theirs["rec.out"], atol=1e-6)


def test_nir_data_go_in_and_out(nested_file: Path, tmp_path: Path) -> None:
    spikes = np.random.default_rng(1).random((N, T, 2)) < 0.5
    grid = nir.TimeGriddedData(spikes, 1e-4)
    x_seq = spikes.swapaxes(0, 1).astype(float)
    expected = sj_nir.interpret(nested_file, x_seq, record=["rnn/lif"])
    observed = {"grid": grid, "events": grid.to_event(2 * T, 5e-5)}
    valued = observed["events"]
    observed["values"] = nir.ValuedEventData(
        valued.idx, valued.time, valued.n_neurons, valued.t_max, (valued.idx >= 0) * 1.0
    )
    for name, data in observed.items():
        source, target = tmp_path / f"{name}.h5", tmp_path / f"{name}.out.h5"
        nir.write_data(source, nir.NIRGraphData({"input": nir.NIRNodeData({"seen": data})}))
        main(["run", str(nested_file), str(source), str(target), "--record", "rnn/lif"])
        found: Any = nir.read_data(str(target))
        output = found.nodes["output"].observables["output"]
        assert output.dt == 1e-4
        np.testing.assert_array_equal(output.data, expected.out.swapaxes(0, 1))
        inner = found.nodes["rnn"].nodes["lif"].observables
        assert set(inner) == {"spikes", "v", "h"} and inner["spikes"].data.dtype == bool


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def write_data(path: Path, **nodes: Any) -> Path:
    nir.write_data(
        path,
        nir.NIRGraphData(
            {k: nir.NIRNodeData({"spikes": v} if v else {}) for k, v in nodes.items()}
        ),
    )
    return path


def grid(steps: int, neurons: int, dt: float = 1e-4) -> nir.TimeGriddedData:
    return nir.TimeGriddedData(np.zeros((1, steps, neurons), bool), dt)


def test_inputs_that_do_not_fit(file: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "text.h5").write_text("no data")
    late = nir.EventData(np.array([[0]]), np.array([[9.0]]), 2, 1e-3)
    inputs = {
        "none.npy: no such file": tmp_path / "none.npy",
        "none.h5: no such file": tmp_path / "none.h5",
        "text.npy: not a readable": tmp_path / "text.npy",
        "text.h5: not a readable file of NIR data": tmp_path / "text.h5",
        "with the arrays input": save(tmp_path / "two.npz", a=np.zeros(1), b=np.zeros(1)),
        r"expected input [T, N, 2] or the same without N": save(
            tmp_path / "flat.npz", input=np.zeros(2)
        ),
        "expected [T, B, 2], got [4, 1, 3]": save(tmp_path / "wide.npz", input=np.zeros((4, 3))),
        "no data for the Input 'input'": write_data(tmp_path / "other.h5", x=grid(3, 2)),
        "no data for the Input": write_data(tmp_path / "empty.h5", input=None),
        "5 neurons for the Input 'input' of shape (2,)": write_data(
            tmp_path / "many.h5", input=grid(3, 5)
        ),
        "its steps last 0.001 s, not dt = 0.0001 s": write_data(
            tmp_path / "slow.h5", input=grid(3, 2, 1e-3)
        ),
        "events outside of t_max": write_data(tmp_path / "late.h5", input=late),
    }
    for text, source in inputs.items():
        assert text in refused("run", file, source, tmp_path / "o.npz")
    assert not (tmp_path / "o.npz").exists()


def test_run_refuses_other_arguments(
    file: Path, x_seq: np.ndarray, tmp_path: Path, refused: Refused
) -> None:
    source = save(tmp_path / "in.npz", input=x_seq)
    assert "ends in .npz or .h5" in refused("run", file, source, tmp_path / "o.txt")
    assert "does not exist" in refused("run", file, source, tmp_path / "no" / "o.npz")
    out = tmp_path / "o.npz"
    assert "there is no node 'z'" in refused("run", file, source, out, "--record", "z")
    line = refused("run", file, source, out, "--backend", "torch", "--record", "input")
    assert "no module for node 'input'" in line


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_numbers_of_any_kind_are_taken_and_nothing_else(
    backend: str, file: Path, tmp_path: Path, refused: Refused
) -> None:
    source, target = tmp_path / "in.npy", tmp_path / "out.npz"
    for kind in (">f4", "<u2", "?", "f2"):
        np.save(source, np.ones((T, N, 2), kind))
        main(["run", str(file), str(source), str(target), "--backend", backend])
    for kind in ("c8", "U1", "M8[s]"):
        np.save(source, np.zeros((T, N, 2), kind))
        message = refused("run", file, source, target, "--backend", backend)
        assert "in.npy" in message and "expected arrays of real numbers" in message


def test_damaged_arrays_and_data_are_one_line(file: Path, tmp_path: Path, refused: Refused) -> None:
    source, target = tmp_path / "in.npz", tmp_path / "out.npz"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("input.txt", "no array")
    assert "expected arrays of real numbers" in refused("run", file, source, target)
    np.savez_compressed(source, input=np.random.default_rng(0).random((T, N, 2)))
    damaged = bytearray(source.read_bytes())
    damaged[60:80] = bytes(20)
    source.write_bytes(damaged)
    assert "not a readable .npy or .npz file" in refused("run", file, source, target)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 2), }"
    source = tmp_path / "in.npy"
    source.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    assert "not a readable" in refused("run", file, source, target)


@pytest.mark.parametrize("t_max", [1e300, -1.0, 1e5])
def test_events_over_too_long_a_time_are_refused(
    t_max: float, file: Path, tmp_path: Path, refused: Refused
) -> None:
    events = nir.EventData(np.array([[0]]), np.array([[0.0]]), 2, 1e-3)
    data = write_data(tmp_path / "in.h5", input=events)
    with h5py.File(data, "r+") as content:
        content["nodes/input/observables/spikes"].attrs["t_max"] = t_max
    assert "in.h5" in refused("run", file, data, tmp_path / "out.npz")


def test_data_that_lack_a_part_are_refused(file: Path, tmp_path: Path, refused: Refused) -> None:
    grid = nir.TimeGriddedData(np.ones((N, T, 2)), 1e-4)
    data = write_data(tmp_path / "in.h5", input=grid)
    with h5py.File(data, "r+") as content:
        del content["nodes/input/observables"]
        content["nodes/input/observables"] = 3
    assert "not a readable file of NIR data" in refused("run", file, data, tmp_path / "out.npz")
