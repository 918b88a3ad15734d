"""sj_nir's numpy interpreter against graphs and outputs computed outside of this project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sj_nir import NIRError, import_from_nir, verify
from sj_nir.interpreter import compile_graph, interpret

REAL = [
    "lif_norse",
    "cnn_sinabs",
    "braille_noDelay_bias_zero",
    "spyx_braille_bias_zero_subgraph",
    "old_braille_subtract55",
]
SYNTHETIC = [
    "affine_lif_hetero",
    "conv1d_lif_flatten_li",
    "conv2d_grouped",
    "conv2d_if_pools",
    "conv2d_rect_kernel",
    "conv2d_same_valid",
    "cubalif_cubali",
    "delay",
    "flatten_partial",
    "integrator_scale_threshold",
    "lif_decay_input_false",
    "lif_decay_input_true",
    "linear_float64_params",
    "linear_if",
    "multi_io",
    "names_and_metadata",
    "pool_padding",
    "recurrent_bias",
    "residual_sum",
    "self_edge",
    "subgraph_nested2",
    "subgraph_recurrent",
    "threshold_equality",
    "two_population_loop",
]
SPIKINGJELLY = [
    "conv1d_if",
    "cubalif",
    "lif_decay_input_false",
    "lif_decay_input_true",
    "lif_vreset_nonzero",
    "residual",
    "seed_tutorial_small",
]
# What the one line about a file names; all but the last few name a node, an edge or a field.
MALFORMED = {
    "braille_noDelay_bias_zero_subgraph": "node 'lif1': edge 'input' -> 'lif'",
    "not_hdf5_braille_snntorch": "not a readable HDF5 file",
    "old_braille_flattened": "node 'lif1', field 'r': is a single number",
    "old_braille_timedim": "edge 'lif1' -> 'fc2': there is no node 'lif1'",
    "old_scnn_batchdim": r"node '0', field 'weight': takes \(2, H, W\).*must not count batch",
    "syn_algebraic_loop": "loop 'l' -> 'm' -> 'l'",
    "syn_dangling_edge": "edge 'l' -> 'nowhere': there is no node 'nowhere'",
    "syn_duplicate_edge": "edge 'i' -> 'l' is given more than once",
    "syn_extra_field": "node 'l', field 'refractory'",
    "syn_field_shapes": "node 'l'",
    "syn_missing_field": "node 'l', field 'v_threshold'",
    "syn_missing_type": "node 'l', field 'type'",
    "syn_nan_weight": "node 'l', field 'weight': 9 of 9 values are NaN",
    "syn_negative_tau": "node 'l', field 'tau': must be positive",
    "syn_shape_mismatch": r"node 'l', field 'weight': takes shape \(3,\), but gets \(4,\)",
    "syn_tau_below_dt": "node 'l', field 'tau': 5e-05 s is shorter than dt",
    "syn_unknown_type": "node 'l', field 'type'",
    "syn_unreached_output": "node 'p': nothing feeds it",
    "syn_zero_tau": "node 'l', field 'tau': must be positive",
}


@pytest.fixture(scope="module")
def graphs(shared: Path) -> Path:
    return shared / "conformance" / "nir"


def entry_of(folder: Path, name: str) -> dict[str, Any]:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (entry,) = [entry for entry in manifest["graphs"] if entry["file"] == f"{name}.nir"]
    return entry


def traced(golden: dict[str, np.ndarray], variant: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Golden array -> node and memory."""
    tag = f"{variant['reset']}_{variant['cut']}"
    found: dict[str, tuple[str, str]] = {}
    for key in golden:
        if key.startswith(f"v_{tag}__"):
            found[key] = (key.split("__", 1)[1].replace("|", "/"), "v")
        elif key in (f"hid_{tag}", f"hidv_{tag}"):
            found[key] = (variant["hidden_node"], "v" if key.startswith("hidv") else "out")
    return found


def assert_close(actual: np.ndarray, golden: np.ndarray) -> None:
    spiking = np.isin(golden, (0, 1)).all()
    tolerance = {"rtol": 0.0, "atol": 0.0} if spiking else {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(actual[:, 0], golden, **tolerance)


@pytest.mark.parametrize(
    "name", [*(f"real/{n}" for n in REAL), *(f"synthetic/{n}" for n in SYNTHETIC)]
)
def test_every_variant_equals_the_recorded_outputs_and_potentials(name: str, graphs: Path) -> None:
    topic, stem = name.split("/")
    entry = entry_of(graphs / topic, stem)
    with np.load(graphs / topic / f"{stem}.npz") as data:
        golden = dict(data)
    inputs: Any = {k.removeprefix("in__"): v[:, None] for k, v in golden.items() if k[:4] == "in__"}
    inputs = inputs or golden["in"][:, None]
    for variant in entry["variants"]:
        traces = traced(golden, variant)
        outputs = interpret(
            graphs / f"{name}.nir",
            inputs,
            entry["dt"],
            reset=variant["reset"],
            cut=variant["cut"],
            if_dt=entry.get("if_dt"),
            record={node for node, _ in traces.values()},
        )
        tag = f"out_{variant['reset']}_{variant['cut']}"
        for key, value in golden.items():
            if key == tag:
                assert_close(outputs.out, value)
            elif key.startswith(f"{tag}__"):
                assert_close(outputs.outputs[key.split("__", 1)[1]], value)
            elif key in traces:
                node, memory = traces[key]
                assert_close(outputs.traces[node][memory], value)
        if variant["threshold_margin"] is not None:
            assert outputs.margin == pytest.approx(variant["threshold_margin"], rel=1e-9)


@pytest.mark.parametrize(
    "name", [*(f"real/{n}" for n in REAL), *(f"synthetic/{n}" for n in SYNTHETIC)]
)
def test_every_node_of_the_imported_network_equals_the_interpreter(name: str, graphs: Path) -> None:
    topic, stem = name.split("/")
    entry = entry_of(graphs / topic, stem)
    with np.load(graphs / topic / f"{stem}.npz") as data:
        arrays = {key: torch.from_numpy(data[key][:, None]) for key in data if key[:2] == "in"}
    inputs: Any = arrays.get("in", {key.removeprefix("in__"): x for key, x in arrays.items()})
    for variant in entry["variants"]:
        rule = {key: variant[key] for key in ("reset", "cut")} | {"if_dt": entry.get("if_dt")}
        net = import_from_nir(graphs / f"{name}.nir", entry["dt"], step_mode="m", **rule)
        report = verify(net, graphs / f"{name}.nir", inputs, entry["dt"], **rule)
        report.raise_if_different()
        assert not report.left_out and not report.near_threshold


@pytest.mark.parametrize("name", SPIKINGJELLY)
def test_spikingjellys_graphs_give_its_spikes(name: str, graphs: Path) -> None:
    with np.load(graphs / "spikingjelly" / f"{name}.npz") as data:
        x_seq, expected = data["in"], data["out"]
    outputs = interpret(graphs / "spikingjelly" / f"{name}.nir", x_seq, 1e-4, threshold=">=")
    np.testing.assert_allclose(outputs.out, expected, rtol=0, atol=1e-6)


def test_one_neuron_equals_the_recording_of_norse(graphs: Path) -> None:
    with np.load(graphs / "real" / "lif_traces_by_framework.npz") as data:
        x, v, spikes = data["norse"].T
    outputs = interpret(graphs / "real" / "lif_norse.nir", x[:, None, None], 1e-4, record=["1"])
    np.testing.assert_array_equal(outputs.out[:, 0, 0], spikes)
    np.testing.assert_allclose(outputs.traces["1"]["v"][:, 0, 0], v, atol=1e-6)


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_are_refused_by_name(name: str, graphs: Path) -> None:
    with pytest.raises(NIRError, match=MALFORMED[name]):
        compile_graph(graphs / "malformed" / f"{name}.nir")


def test_file_without_version_is_accepted(graphs: Path) -> None:
    assert compile_graph(graphs / "malformed" / "syn_no_version.nir").shapes


def test_every_golden_graph_is_used(graphs: Path) -> None:
    listed = {f"real/{n}" for n in REAL} | {f"synthetic/{n}" for n in SYNTHETIC}
    listed |= {f"spikingjelly/{n}" for n in SPIKINGJELLY} | {f"malformed/{n}" for n in MALFORMED}
    found = {f"{file.parent.name}/{file.stem}" for file in graphs.glob("*/*.nir")}
    assert listed | {"malformed/syn_no_version"} == found
