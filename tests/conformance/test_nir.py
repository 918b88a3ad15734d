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
from sj_neurons.neuron import CUBALIFNode, IFNode, LIFNode, ParametricLIFNode


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
    "conv1d_if": lambda: nn.Sequential(
        nn.Conv1d(2, 4, 3, stride=2, padding=1),
        IFNode(v_threshold=0.9),
        nn.Flatten(),
        nn.Linear(20, 5),
    ),
    "cubalif": lambda: nn.Sequential(nn.Linear(6, 8), CUBALIFNode()),
    "lif_vreset_nonzero": lambda: nn.Sequential(
        nn.Linear(6, 8, bias=False), LIFNode(2.5, v_threshold=0.7, v_reset=-0.2)
    ),
    "residual": Residual,
}

# Graphs of other frameworks, and graphs made to cover every primitive.
FOREIGN = [
    "real/braille_noDelay_bias_zero",
    "real/cnn_sinabs",
    "real/lif_norse",
    "real/old_braille_subtract55",
    "real/spyx_braille_bias_zero_subgraph",
    "synthetic/affine_lif_hetero",
    "synthetic/conv1d_lif_flatten_li",
    "synthetic/conv2d_grouped",
    "synthetic/conv2d_if_pools",
    "synthetic/conv2d_rect_kernel",
    "synthetic/conv2d_same_valid",
    "synthetic/cubalif_cubali",
    "synthetic/delay",
    "synthetic/flatten_partial",
    "synthetic/integrator_scale_threshold",
    "synthetic/lif_decay_input_false",
    "synthetic/lif_decay_input_true",
    "synthetic/linear_float64_params",
    "synthetic/linear_if",
    "synthetic/multi_io",
    "synthetic/names_and_metadata",
    "synthetic/pool_padding",
    "synthetic/recurrent_bias",
    "synthetic/residual_sum",
    "synthetic/self_edge",
    "synthetic/subgraph_nested2",
    "synthetic/subgraph_recurrent",
    "synthetic/threshold_equality",
    "synthetic/two_population_loop",
]


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


def by_name(golden: dict[str, Tensor], prefix: str) -> Tensor | dict[str, Tensor]:
    """The array `prefix`, or those of several Inputs or Outputs, with a batch axis."""
    if prefix in golden:
        return golden[prefix].unsqueeze(1)
    named = {key: value for key, value in golden.items() if key.startswith(f"{prefix}__")}
    return {key[len(prefix) + 2 :]: value.unsqueeze(1) for key, value in named.items()}


def variants() -> list[Any]:
    return [
        pytest.param(name, step_mode, id=f"{name}-{step_mode}")
        for name in FOREIGN
        for step_mode in ("s", "m")
    ]


@pytest.mark.parametrize(("name", "step_mode"), variants())
def test_import_of_foreign_graphs(name: str, step_mode: str, graphs: Path) -> None:
    topic, stem = name.split("/")
    manifest = json.loads((graphs / topic / "manifest.json").read_text(encoding="utf-8"))
    (entry,) = [e for e in manifest["graphs"] if e["file"] == f"{stem}.nir"]
    with np.load(graphs / topic / f"{stem}.npz") as data:
        golden = {key: torch.from_numpy(data[key]) for key in data}
    x_seq = by_name(golden, "in")
    for variant in entry["variants"]:
        net = sj_nir.import_from_nir(
            graphs / f"{name}.nir",
            entry["dt"],
            step_mode=step_mode,
            reset=variant["reset"],
            cut=variant["cut"],
            if_dt=entry.get("if_dt"),
        )
        key = f"{variant['reset']}_{variant['cut']}"
        out, potentials = run(
            net, x_seq, step_mode, [k for k in golden if k.startswith(f"v_{key}")]
        )
        expected = by_name(golden, f"out_{key}")
        assert_equal_outputs(out, expected)
        for array, v in potentials.items():
            torch.testing.assert_close(v.squeeze(1), golden[array], rtol=1e-5, atol=1e-5)


def run(net: Any, x_seq: Any, step_mode: str, watched: list[str]) -> tuple[Any, dict[str, Tensor]]:
    """Output of the sequence, and the potentials of the watched nodes after each single step."""
    if step_mode == "m":
        with torch.no_grad():
            return net(x_seq)[0], {}
    outputs, potentials = [], {array: [] for array in watched}
    for t in range(len(next(iter(x_seq.values())) if isinstance(x_seq, dict) else x_seq)):
        x = {key: x[t] for key, x in x_seq.items()} if isinstance(x_seq, dict) else x_seq[t]
        with torch.no_grad():
            out, states = net(x)
        outputs.append(out)
        for array, values in potentials.items():
            values.append(states[array.split("__", 1)[1].replace("|", "/")]["v"])
    stacked = {array: torch.stack(values) for array, values in potentials.items()}
    if isinstance(x_seq, dict):
        return {key: torch.stack([out[key] for out in outputs]) for key in outputs[0]}, stacked
    return torch.stack(outputs), stacked


def assert_equal_outputs(out: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert out.keys() == expected.keys()
        for key, value in expected.items():
            assert_equal_outputs(out[key], value)
        return
    spikes = bool(((expected == 0) | (expected == 1)).all())
    tolerance = 0.0 if spikes else 1e-5
    torch.testing.assert_close(out, expected, rtol=tolerance, atol=tolerance)


def test_every_golden_graph_is_used(graphs: Path, goldens: Path) -> None:
    listed = {f"spikingjelly/{name}" for name in SPIKINGJELLY} | set(FOREIGN)
    listed |= {f"malformed/{name}" for name in messages(goldens)}
    found = {f"{file.parent.name}/{file.stem}" for file in graphs.glob("*/*.nir")}
    assert listed == found


def messages(goldens: Path) -> dict[str, str]:
    """What is said about each malformed file."""
    return json.loads((goldens / "nir" / "malformed.json").read_text(encoding="utf-8"))


def test_malformed_files_are_refused_with_a_helpful_message(graphs: Path, goldens: Path) -> None:
    said = {}
    for name in messages(goldens):
        file = graphs / "malformed" / f"{name}.nir"
        try:
            sj_nir.import_from_nir(file)
        except sj_nir.NIRError as error:
            text = f"{type(error).__name__}: {error}".replace(str(file), file.name)
            said[name] = text.partition(" (Unable to")[0]  # the rest is by the HDF5 library
        else:
            said[name] = "ok"
    assert said == messages(goldens)


def test_file_without_version_is_accepted(graphs: Path) -> None:
    net = sj_nir.import_from_nir(graphs / "malformed" / "syn_no_version.nir")
    assert isinstance(net, torch.fx.GraphModule)
