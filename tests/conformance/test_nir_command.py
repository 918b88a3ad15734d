"""The command sj-nir on graphs written by other software, and on malformed files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from sj_nir.cli import main

MALFORMED = {
    "braille_noDelay_bias_zero_subgraph": "node 'lif1'.*'lif'",
    "not_hdf5_braille_snntorch": "not a readable HDF5 file",
    "old_braille_flattened": "node 'lif1', field 'r'",
    "old_braille_timedim": "'lif1'",
    "old_scnn_batchdim": "node '0'",
    "syn_algebraic_loop": "'l' -> 'm' -> 'l'",
    "syn_dangling_edge": "'nowhere'",
    "syn_duplicate_edge": "edge 'i' -> 'l'",
    "syn_extra_field": "node 'l', field 'refractory'",
    "syn_field_shapes": "node 'l'",
    "syn_missing_field": "node 'l', field 'v_threshold'",
    "syn_missing_type": "node 'l', field 'type'",
    "syn_nan_weight": "node 'l', field 'weight'",
    "syn_negative_tau": "node 'l', field 'tau'",
    "syn_shape_mismatch": "node 'l', field 'weight'",
    "syn_tau_below_dt": "node 'l', field 'tau'",
    "syn_unknown_type": "node 'l', field 'type'",
    "syn_unreached_output": "node 'p'",
    "syn_zero_tau": "node 'l', field 'tau'",
}


@pytest.fixture(scope="module")
def graphs(shared: Path) -> Path:
    return shared / "conformance" / "nir"


def valid_files(graphs: Path) -> list[Path]:
    return sorted(
        file for topic in ("real", "synthetic") for file in (graphs / topic).glob("*.nir")
    )


@pytest.mark.parametrize("name", MALFORMED)
def test_check_refuses_malformed_files_in_one_line(
    name: str, graphs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", str(graphs / "malformed" / f"{name}.nir"), "--dt", "1e-4"])
    assert caught.value.code == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert re.search(MALFORMED[name], line) and captured.out == ""


def test_check_only_warns_of_a_tau_where_no_dt_is_given(
    graphs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["check", str(graphs / "malformed" / "syn_tau_below_dt.nir")])
    assert "warning: node 'l', field 'tau': 5e-05 s is shorter" in capsys.readouterr().out
    main(["check", str(graphs / "malformed" / "syn_no_version.nir"), "--dt", "1e-4"])
    assert "warning: the file has no version" in capsys.readouterr().out


def test_every_valid_file_is_described_drawn_and_converted(
    graphs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = valid_files(graphs)
    assert len(files) == 29
    for file in files:
        main(["check", str(file)])
        capsys.readouterr()
        main(["info", "--json", str(file)])
        found = json.loads(capsys.readouterr().out)
        assert found["problem"] is None
        main(["draw", str(file), str(tmp_path / "net.svg")])
        boxes = ElementTree.parse(tmp_path / "net.svg").iter("{http://www.w3.org/2000/svg}text")
        assert {node["name"] for node in found["nodes"]} <= {box.text for box in boxes}
        main(["convert", str(file), str(tmp_path / "new.nir")])
        main(["diff", str(file), str(tmp_path / "new.nir"), "--metadata"])
        main(["convert", str(file), str(tmp_path / "flat.nir"), "--flatten"])
        main(["check", str(tmp_path / "flat.nir")])
        assert "no v_reset" not in capsys.readouterr().out


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_run_gives_the_recorded_outputs(backend: str, graphs: Path, tmp_path: Path) -> None:
    name, reset, cut = "spyx_braille_bias_zero_subgraph", "soft", "current"
    with np.load(graphs / "real" / f"{name}.npz") as golden:
        np.save(tmp_path / "in.npy", golden["in"])
        expected = golden[f"out_{reset}_{cut}"]
    argv = ["run", str(graphs / "real" / f"{name}.nir"), str(tmp_path / "in.npy")]
    argv += [str(tmp_path / "out.npz"), "--reset", reset, "--cut", cut, "--backend", backend]
    main(argv)
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_array_equal(found["output"], expected)
