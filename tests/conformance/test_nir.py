"""sj_nir against graphs written by other software and outputs computed outside of this project."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sj_layers as layer
import sj_nir
from sj_neurons.neuron import IFNode, LIFNode, ParametricLIFNode


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(6, 6)
        self.n = IFNode()
        self.b = nn.Linear(6, 6)
        self.n2 = LIFNode(2.0, decay_input=False)

    def forward(self, x: Tensor) -> Tensor:
        spike = self.n(self.a(x))
        return self.n2(self.b(spike) + spike)


def tutorial() -> nn.Module:
    return nn.Sequential(
        layer.Conv2d(3, 8, 3, 1, 1),
        IFNode(),
        nn.AvgPool2d((2, 2)),
        layer.Flatten(),
        nn.Linear(128, 10),
        ParametricLIFNode(10.0, decay_input=False),
    )


SPIKINGJELLY: dict[str, Callable[[], nn.Module]] = {
    "seed_tutorial_small": tutorial,
    "lif_decay_input_true": lambda: nn.Sequential(nn.Linear(6, 8), LIFNode(2.0)),
    "lif_decay_input_false": lambda: nn.Sequential(
        nn.Linear(6, 8), LIFNode(3.0, decay_input=False, v_threshold=0.8)
    ),
    "lif_vreset_nonzero": lambda: nn.Sequential(
        nn.Linear(6, 8, bias=False), LIFNode(2.5, v_threshold=0.7, v_reset=-0.2)
    ),
    "residual": Residual,
}

# Graph -> what it needs that is not built yet. Each must raise an error that says so.
NOT_YET = {
    "spikingjelly/conv1d_if": "Conv1d",
    "spikingjelly/cubalif": "CubaLIF",
    "real/braille_noDelay_bias_zero": "CubaLIF",
    "real/cnn_sinabs": "SumPool2d",
    "real/old_braille_subtract55": "CubaLIF",
    "real/spyx_braille_bias_zero_subgraph": "CubaLIF",
    "synthetic/affine_lif_hetero": "per-neuron parameters",
    "synthetic/conv1d_lif_flatten_li": "Conv1d",
    "synthetic/conv2d_if_pools": "SumPool2d",
    "synthetic/cubalif_cubali": "CubaLI",
    "synthetic/delay": "Delay",
    "synthetic/integrator_scale_threshold": "Threshold",
    "synthetic/names_and_metadata": "Scale",
    "synthetic/pool_padding": "SumPool2d",
    "synthetic/subgraph_nested2": "Scale",
    "synthetic/threshold_equality": "per-neuron parameters",
    "synthetic/two_population_loop": "CubaLIF",
}

# Other frameworks' graphs that import today.
FOREIGN = [
    "real/lif_norse",
    "synthetic/conv2d_grouped",
    "synthetic/conv2d_rect_kernel",
    "synthetic/conv2d_same_valid",
    "synthetic/flatten_partial",
    "synthetic/lif_decay_input_false",
    "synthetic/lif_decay_input_true",
    "synthetic/linear_float64_params",
    "synthetic/linear_if",
    "synthetic/multi_io",
    "synthetic/recurrent_bias",
    "synthetic/residual_sum",
    "synthetic/self_edge",
    "synthetic/subgraph_recurrent",
]

# Malformed file -> what its error must name. Kinds of nodes: met before the fault.
MALFORMED = {
    "braille_noDelay_bias_zero_subgraph": "node 'lif1': edge 'input' -> 'lif': there is no node",
    "not_hdf5_braille_snntorch": "not a readable HDF5 file",
    "old_braille_flattened": "CubaLIF",
    "old_braille_timedim": "lif1.input",
    "old_scnn_batchdim": "SumPool2d",
    "syn_algebraic_loop": "loop 'l' -> 'm' -> 'l'",
    "syn_dangling_edge": "no node 'nowhere'",
    "syn_duplicate_edge": "edge 'i' -> 'l' is given more than once",
    "syn_extra_field": "node 'l', field 'refractory'",
    "syn_field_shapes": r"node 'l': .*r \(1,\), tau \(3,\)",
    "syn_missing_field": "node 'l', field 'v_threshold'",
    "syn_missing_type": "node 'l', field 'type'",
    "syn_nan_weight": "node 'l', field 'weight'",
    "syn_negative_tau": "node 'l', field 'tau'",
    "syn_shape_mismatch": "node 'l', field 'weight'",
    "syn_tau_below_dt": "node 'l', field 'tau'",
    "syn_unknown_type": "node 'l', field 'type'",
    "syn_unreached_output": "node 'p': nothing feeds it",
    "syn_zero_tau": "node 'l', field 'tau'",
}


@pytest.fixture(scope="module")
def graphs(shared: Path) -> Path:
    return shared / "conformance" / "nir"


def golden_net(name: str, folder: Path) -> tuple[nn.Module, Tensor, Tensor]:
    """The network of a SpikingJelly golden with its weights, the input, the output."""
    with np.load(folder / f"{name}.npz") as data:
        golden = {key: torch.from_numpy(data[key]) for key in data}
    net = SPIKINGJELLY[name]()
    net.load_state_dict(
        {key[len("param__") :]: value for key, value in golden.items() if key.startswith("param__")}
    )
    return net, golden["in"], golden["out"]


def stepped(net: Callable[[Tensor], Any], x_seq: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.stack([net(x)[0] for x in x_seq])


def assert_equal_nodes(ours: nir.NIRNode, theirs: nir.NIRNode) -> None:
    assert type(ours) is type(theirs)
    for field in dataclasses.fields(theirs):
        if field.name in ("metadata", "input_type", "output_type"):
            continue
        value, expected = getattr(ours, field.name), getattr(theirs, field.name)
        np.testing.assert_array_equal(np.asarray(value), np.asarray(expected), err_msg=field.name)
        assert np.asarray(value).dtype.kind == np.asarray(expected).dtype.kind, field.name
        if isinstance(expected, np.ndarray) and expected.dtype.kind == "f":
            assert value.dtype == expected.dtype, field.name


@pytest.mark.parametrize("name", SPIKINGJELLY)
def test_round_trip_keeps_the_recorded_spikes(name: str, goldens: Path, tmp_path: Path) -> None:
    net, x_seq, expected = golden_net(name, goldens / "nir" / "spikingjelly")
    sj_nir.export_to_nir(net, x_seq[0], tmp_path / "net.nir")
    for step_mode in ("s", "m"):
        back = sj_nir.import_from_nir(tmp_path / "net.nir", step_mode=step_mode)
        spikes = stepped(back, x_seq) if step_mode == "s" else back(x_seq)[0].detach()
        torch.testing.assert_close(spikes, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", SPIKINGJELLY)
def test_export_equals_spikingjelly(name: str, graphs: Path) -> None:
    net, x_seq, _ = golden_net(name, graphs / "spikingjelly")
    ours = sj_nir.export_to_nir(net, x_seq[0])
    theirs = nir.read(graphs / "spikingjelly" / f"{name}.nir")
    assert ours.nodes.keys() == theirs.nodes.keys()
    assert set(ours.edges) == set(theirs.edges) and len(ours.edges) == len(theirs.edges)
    for key, node in theirs.nodes.items():
        assert_equal_nodes(ours.nodes[key], node)
        for side in ("input_type", "output_type"):
            (mine,), (expected,) = (
                getattr(ours.nodes[key], side).values(),
                getattr(node, side).values(),
            )
            assert tuple(mine) == tuple(expected), (key, side)


@pytest.mark.parametrize("name", SPIKINGJELLY)
@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_import_of_spikingjelly(name: str, step_mode: str, graphs: Path) -> None:
    _, x_seq, expected = golden_net(name, graphs / "spikingjelly")
    net = sj_nir.import_from_nir(
        graphs / "spikingjelly" / f"{name}.nir", step_mode=step_mode, threshold=">="
    )
    spikes = stepped(net, x_seq) if step_mode == "s" else net(x_seq)[0].detach()
    torch.testing.assert_close(spikes, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_import_of_foreign_graphs(name: str, step_mode: str, graphs: Path) -> None:
    topic, stem = name.split("/")
    manifest = json.loads((graphs / topic / "manifest.json").read_text(encoding="utf-8"))
    (entry,) = [e for e in manifest["graphs"] if e["file"] == f"{stem}.nir"]
    with np.load(graphs / topic / f"{stem}.npz") as data:
        golden = {key: torch.from_numpy(data[key]) for key in data}
    for variant in entry["variants"]:
        net = sj_nir.import_from_nir(
            graphs / f"{name}.nir",
            entry["dt"],
            step_mode=step_mode,
            reset=variant["reset"],
            cut=variant["cut"],
            if_dt=entry.get("if_dt"),
        )
        outputs = outputs_of(net, golden, step_mode)
        key = f"out_{variant['reset']}_{variant['cut']}"
        for node, out in outputs.items():
            expected = golden[key] if key in golden else golden[f"{key}__{node}"]
            spiking = bool(((expected == 0) | (expected == 1)).all())
            tolerance = {"rtol": 0.0, "atol": 0.0} if spiking else {"rtol": 1e-5, "atol": 1e-5}
            torch.testing.assert_close(out, expected, **tolerance)


def outputs_of(net: Any, golden: dict[str, Tensor], step_mode: str) -> dict[str, Tensor]:
    """What `net` puts out for the recorded inputs, by name of the Output, without batch axis."""
    sequences = {
        name: (golden["in"] if "in" in golden else golden[f"in__{name}"]).unsqueeze(1)
        for name in net.input_names
    }
    with torch.no_grad():
        if step_mode == "m":
            found = net(sequences)[0]
        else:
            (steps,) = {len(sequence) for sequence in sequences.values()}
            each = [net({name: x[t] for name, x in sequences.items()})[0] for t in range(steps)]
            found = {name: torch.stack([out[name] for out in each]) for name in net.output_names}
    return {name: out.squeeze(1) for name, out in found.items()}


@pytest.mark.parametrize("name", NOT_YET)
def test_what_is_not_built_yet_says_so(name: str, graphs: Path) -> None:
    with pytest.raises(sj_nir.NotSupportedError, match=NOT_YET[name]):
        sj_nir.import_from_nir(graphs / f"{name}.nir", dt=1e-3 if "synthetic" in name else 1e-4)


def test_every_golden_graph_is_used(graphs: Path) -> None:
    listed = {f"spikingjelly/{name}" for name in SPIKINGJELLY} | NOT_YET.keys() | set(FOREIGN)
    listed |= {f"malformed/{name}" for name in MALFORMED} | {"malformed/syn_no_version"}
    found = {f"{file.parent.name}/{file.stem}" for file in graphs.glob("*/*.nir")}
    assert listed == found


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_are_refused_by_name(name: str, graphs: Path) -> None:
    with pytest.raises(sj_nir.NIRError, match=MALFORMED[name]):
        sj_nir.import_from_nir(graphs / "malformed" / f"{name}.nir")


def test_file_without_version_is_accepted(graphs: Path) -> None:
    net = sj_nir.import_from_nir(graphs / "malformed" / "syn_no_version.nir")
    assert isinstance(net, torch.fx.GraphModule)
