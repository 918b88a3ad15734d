"""The command sj-nir: what it prints and writes, and one line and status 2 for bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

import sj_nir
from sj_nir.cli import main

# what fixtures build or run
Graphs = Callable[..., nir.NIRGraph]
Refused = Callable[..., str]


def full(n: int, **values: float) -> dict[str, Any]:
    return {field: np.full(n, value) for field, value in values.items()}


# the command as such


def test_help_and_errors_from_the_shell(file: Path) -> None:
    command = [sys.executable, "-m", "sj_nir.cli"]
    shown = subprocess.run([*command, "-h"], capture_output=True, text=True, timeout=120)
    assert shown.returncode == 0
    for name in ("info", "check", "run", "diff", "convert", "draw"):
        assert f"\n    {name} " in shown.stdout
    wrong = subprocess.run(
        [*command, "check", "no.nir"], capture_output=True, text=True, timeout=120
    )
    assert wrong.returncode == 2 and wrong.stdout == ""
    assert wrong.stderr == "sj-nir check: error: no.nir: no such file\n"


@pytest.mark.parametrize("argv", [[], ["nothing"], ["check"], ["check", "f", "--dt", "x"]])
def test_usage_errors_are_one_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_reader_that_leaves_is_no_error(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def leave(*args: Any) -> None:
        raise BrokenPipeError

    with (tmp_path / "out").open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr("sj_nir.cli.check.print", leave, raising=False)
        main(["check", str(file)])


# info


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_closed_or_full_standard_output(file: Path) -> None:
    run = f"'{sys.executable}' -m sj_nir.cli check '{file}'"
    closed = subprocess.run(f"{run} >&-", shell=True, capture_output=True, text=True, timeout=120)
    assert (closed.returncode, closed.stderr) == (0, "")
    if Path("/dev/full").exists():
        full = subprocess.run(
            f"{run} >/dev/full", shell=True, capture_output=True, text=True, timeout=120
        )
        assert full.returncode == 2
        assert full.stderr.count("\n") == 1 and "No space left" in full.stderr


def test_names_that_the_terminal_cannot_show(file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sj_nir.cli", "info", file.rename(file.with_name("\u5c64.nir"))],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0
    assert "\\u5c64.nir: NIR" in done.stdout


def test_info_lists_everything(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["info", str(file)])
    text = capsys.readouterr().out
    assert f"{file}: NIR 1.0.8, 5 nodes, 5 edges, 36 numbers in parameters" in text
    assert "lif     LIF        -> 3" in text and "tau: 3 float64, 0.001\n" in text
    assert "weight: 3x3 float64, -1 to 1" in text
    assert "  rec -> lif\n" in text and "loop: rec, lif" in text
    assert 'metadata: {"made": "by hand", "numbers": [0, 1]}' in text


def test_info_as_json_of_a_nested_graph(
    nested_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["info", "--json", str(nested_file)])
    found = json.loads(capsys.readouterr().out)
    assert [node["name"] for node in found["nodes"]][:3] == ["input", "rnn/fc", "rnn/rec"]
    assert found["problem"] is None and found["loops"] == [["rnn/rec", "rnn/lif"]]
    assert ["rnn/lif", "out"] in found["edges"]


def test_info_shows_what_there_is_of_a_wrong_graph(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recurrent: Graphs
) -> None:
    graph = recurrent()
    graph.edges.append(("lif", "nowhere"))
    kernel: Any = nir.Conv2d(None, np.ones((1, 1, 2, 2)), 1, "same", 1, 1, np.ones(1))
    kernel.metadata = {"layer": 3}
    del kernel.input_shape
    graph.nodes["kernel"] = kernel
    kernel.input_shape = (4, 4)
    sj_nir.write_graph(tmp_path / "wrong.nir", graph)
    with h5py.File(tmp_path / "wrong.nir", "a") as content:
        del content["version"]
    main(["info", str(tmp_path / "wrong.nir")])
    text = capsys.readouterr().out
    assert ": no version, 6 nodes" in text and "Conv2d     -> ?" in text
    assert "padding: same" in text and "stride: [1, 1]" in text and 'metadata: {"layer": 3}' in text
    assert "problem: edge 'lif' -> 'nowhere': there is no node 'nowhere'" in text


# check


def test_check_of_a_sound_graph(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", str(file)])
    assert capsys.readouterr().out == f"{file}: ok, no warnings\n"


def test_check_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str], recurrent: Graphs) -> None:
    graph = recurrent(bias=0.5, tau=5e-5)
    graph.nodes["lif"].metadata = {"sj_nir": {"reset": "soft"}}
    sum_up: Any = nir.IF(**full(3, r=1.0, v_threshold=0.0, v_reset=0.0))
    graph.nodes |= {"sum": sum_up, "later": nir.Delay(np.full(3, 2.5e-4))}
    graph.edges = [e for e in graph.edges if e != ("lif", "output")]
    graph.edges += [("lif", "sum"), ("sum", "later"), ("later", "output")]
    path = tmp_path / "odd.nir"
    sj_nir.write_graph(path, graph)
    with h5py.File(path, "a") as content:
        del content["version"], content["node/nodes/sum/v_reset"]
    main(["check", str(path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{path}: ok, 8 warnings"
    text = "\n".join(lines)
    for part in (
        "the file has no version",
        "'sum': no v_reset in the file",
        "node 'lif', field 'tau': 5e-05 s is shorter than dt = 0.0001 s",
        "node 'lif': its soft reset",
        "node 'sum', field 'r': an input of 1 adds 0.0001 per step",
        "--if-dt 1",
        "node 'sum', field 'v_threshold': not above v_reset",
        "node 'later', field 'delay': rounded",
        "node 'rec', field 'bias': lies in a loop",
    ):
        assert part in text


def test_check_at_a_given_dt_refuses_a_shorter_tau(file: Path, refused: Refused) -> None:
    main(["check", str(file), "--dt", "1e-3"])
    line = refused("check", file, "--dt", "0.002")
    assert "node 'lif', field 'tau': 0.001 s is shorter than dt = 0.002 s" in line


def test_check_names_node_and_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recurrent: Graphs, refused: Refused
) -> None:
    sj_nir.write_graph(tmp_path / "bad.nir", recurrent(tau=-1.0))
    assert "node 'lif', field 'tau': must be positive" in refused("check", tmp_path / "bad.nir")


def test_check_finds_old_neurons_in_nested_graphs(
    nested_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(nested_file, "a") as content:
        del content["node/nodes/rnn/nodes/lif/v_reset"]
    main(["check", str(nested_file)])
    assert "'rnn/lif': no v_reset" in capsys.readouterr().out


# diff


def test_diff(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], recurrent: Graphs
) -> None:
    other = recurrent(tau=2e-3)
    other.edges.reverse()
    other.nodes["fc"] = nir.Linear(np.ones((3, 2)))
    other.nodes["extra"] = nir.Linear(np.ones((3, 3)))
    other.edges[-1:] = [("input", "extra"), ("extra", "fc")]
    sj_nir.write_graph(tmp_path / "other.nir", other)
    with pytest.raises(SystemExit) as caught:
        main(["diff", str(file), str(tmp_path / "other.nir")])
    assert caught.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        "+ node 'extra' (Linear)",
        "node 'fc': Affine, Linear",
        "node 'lif', field 'tau': 3 of 3 numbers differ, by at most 0.001",
        "- edge 'input' -> 'fc'",
        "+ edge 'extra' -> 'fc'",
        "+ edge 'input' -> 'extra'",
    ]
    main(["diff", str(file), str(file)])
    assert capsys.readouterr().out == ""


def kernels(**changes: Any) -> nir.NIRGraph:
    values = {"padding": "same", "stride": 1, "groups": 1, **changes}
    conv = nir.Conv2d((4, 4), np.ones((1, 1, 3, 3)), dilation=1, bias=np.zeros(1), **values)
    graph = nir.NIRGraph(
        {"i": nir.Input(np.array([1, 4, 4])), "c": conv, "o": nir.Output(np.array([1, 4, 4]))},
        [("i", "c"), ("c", "o")],
        type_check=False,
    )
    return graph


def test_diff_of_kernels_and_metadata(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = kernels(), kernels(padding=1, groups=2)
    one.nodes["i"].metadata = {"k": {"a": 1}, "b": "x"}
    two.nodes["i"].metadata = {"k": {"a": 2}, "c": "x"}
    two.nodes["o"].output_type = {"output": np.array([1, 4, 5])}
    sj_nir.write_graph(tmp_path / "one.nir", one)
    sj_nir.write_graph(tmp_path / "two.nir", two)
    argv = ["diff", str(tmp_path / "one.nir"), str(tmp_path / "two.nir"), "--metadata"]
    with pytest.raises(SystemExit):
        main(argv)
    assert sorted(capsys.readouterr().out.splitlines()) == [
        "+ node 'i', metadata 'c'",
        "- node 'i', metadata 'b'",
        "node 'c', field 'groups': 1, 2",
        "node 'c', field 'padding': 'same', array([1, 1])",
        "node 'i', metadata 'k/a': 1, 2",
        "node 'o', field 'shape': [1, 4, 4], [1, 4, 5]",
    ]


def test_diff_of_empty_and_unequal_lists_of_integers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recurrent: Graphs
) -> None:
    pools = [
        nir.AvgPool2d(np.array(size), np.array(1), np.array(0)) for size in ([1, 2], [1, 2, 3], [])
    ]
    files = [tmp_path / f"{i}.nir" for i in range(3)]
    for path, pool in zip(files, pools, strict=True):
        graph = recurrent()
        graph.nodes["fc"] = pool
        graph.metadata["none"] = np.nan
        sj_nir.write_graph(path, graph)
    for other in files[1:]:
        with pytest.raises(SystemExit):
            main(["diff", "--metadata", str(files[0]), str(other)])
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith("node 'fc', field 'kernel_size'")
    main(["info", str(files[2])])
    assert "kernel_size" in capsys.readouterr().out


def test_diff_within_nested_graphs_and_tolerances(
    nested_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], nested: Graphs
) -> None:
    other = nested()
    inner: Any = other.nodes["rnn"]
    inner.nodes["lif"].tau = inner.nodes["lif"].tau + 1e-9
    inner.nodes["fc"] = nir.Affine(np.ones((4, 2)), np.ones(4))
    inner.metadata = {}
    sj_nir.write_graph(tmp_path / "other.nir", other)
    argv = ["diff", str(nested_file), str(tmp_path / "other.nir")]
    with pytest.raises(SystemExit):
        main([*argv, "--metadata"])
    text = capsys.readouterr().out
    assert "node 'rnn/lif', field 'tau'" in text and "- graph 'rnn', metadata 'made'" in text
    with pytest.raises(SystemExit):
        main([*argv, "--rtol", "1e-3", "--atol", "0"])
    assert capsys.readouterr().out.splitlines() == [
        "node 'rnn/fc', field 'weight': shape (3, 2), (4, 2)",
        "node 'rnn/fc', field 'bias': shape (3,), (4,)",
    ]


# convert and draw


def test_convert_brings_an_old_file_up_to_date(
    tmp_path: Path,
    x_seq: np.ndarray,
    capsys: pytest.CaptureFixture[str],
    recurrent: Graphs,
    refused: Refused,
) -> None:
    graph = recurrent()
    path = tmp_path / "old.nir"
    sj_nir.write_graph(path, graph)
    with h5py.File(path, "a") as content:
        del content["version"], content["node/nodes/lif/v_reset"]
        for field in ("tau", "r", "v_leak", "v_threshold"):
            value = content[f"node/nodes/lif/{field}"][0]  # pyright: ignore
            del content[f"node/nodes/lif/{field}"]
            content[f"node/nodes/lif/{field}"] = value
    assert "(sj-nir convert does)" in refused("check", path)
    main(["convert", str(path), str(path)])
    main(["check", str(path)])
    assert capsys.readouterr().out.endswith("ok, no warnings\n")
    np.testing.assert_array_equal(
        sj_nir.interpret(path, x_seq).out, sj_nir.interpret(graph, x_seq).out
    )
    assert nir.read(path).nodes.keys() == graph.nodes.keys()


def test_convert_flattens(nested_file: Path, x_seq: np.ndarray, tmp_path: Path) -> None:
    main(["convert", str(nested_file), str(tmp_path / "flat.nir"), "--flatten"])
    flat = sj_nir.read_graph(tmp_path / "flat.nir")
    assert set(flat.nodes) == {"input", "rnn.fc", "rnn.rec", "rnn.lif", "out", "output"}
    np.testing.assert_array_equal(
        sj_nir.interpret(flat, x_seq).out, sj_nir.interpret(nested_file, x_seq).out
    )


def test_draw(
    nested_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Refused
) -> None:
    main(["draw", str(nested_file), str(tmp_path / "net.svg")])
    assert "rnn/lif" in (tmp_path / "net.svg").read_text(encoding="utf-8")
    assert capsys.readouterr().out == f"{tmp_path / 'net.svg'}\n"
    assert "ends in .svg" in refused("draw", nested_file, tmp_path / "net.png")
