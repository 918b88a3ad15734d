from __future__ import annotations

import math

import nir
import numpy as np
import pytest
import torch
from torch import nn

import sj_nir
from sj_neurons.neuron import IFNode, LIFNode, ParametricLIFNode
from sj_neurons.surrogate import Sigmoid

N = 3


def exported(neuron: nn.Module, dt: float = 1e-4) -> nir.NIRNode:
    return sj_nir.export_to_nir(nn.Sequential(neuron), torch.rand(2, N), dt=dt).nodes["_0"]


def imported(node: nir.NIRNode, **arguments) -> nn.Module:
    shape = np.array([N])
    graph = nir.NIRGraph(
        {"i": nir.Input(shape), "n": node, "o": nir.Output(shape)},
        [("i", "n"), ("n", "o")],
        type_check=False,
    )
    return sj_nir.import_from_nir(graph, **arguments).get_submodule("n")


def lif(**fields) -> nir.LIF:
    values = {"tau": 1e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, **fields}
    return nir.LIF(**{k: v if np.ndim(v) else np.full(N, v) for k, v in values.items()})


def if_(**fields) -> nir.IF:
    values = {"r": 1e4, "v_threshold": 1.0, "v_reset": 0.0, **fields}
    return nir.IF(**{key: np.full(N, value) for key, value in values.items()})


@pytest.mark.parametrize(
    ("neuron", "fields"),
    [
        (IFNode(2.0, -0.5), {"r": 1000.0, "v_threshold": 2.0, "v_reset": -0.5}),
        (
            LIFNode(3.0, v_reset=-0.2),
            {"tau": 3.0 * 1e-3, "r": 1, "v_leak": -0.2, "v_reset": -0.2},
        ),
        (LIFNode(3.0, decay_input=False), {"tau": 3.0 * 1e-3, "r": 3.0, "v_leak": 0.0}),
        (LIFNode(3.0, v_reset=None), {"v_leak": 0.0, "v_reset": 0.0}),
    ],
)
def test_fields_are_one_float64_per_neuron(neuron, fields):
    node = exported(neuron, dt=1e-3)
    for field, value in fields.items():
        np.testing.assert_array_equal(getattr(node, field), np.full(N, value))
        assert getattr(node, field).dtype == np.float64


def test_parametric_lif_becomes_a_lif_with_its_present_tau():
    neuron = ParametricLIFNode(10.0)
    neuron.w.data.fill_(-1.0)
    assert exported(neuron).tau[0] == pytest.approx((1 + math.e) * 1e-4, rel=1e-6)


@pytest.mark.parametrize("tau", [2.0, 3.0, 7.3, 100 / 3, 1.0000001, 12345.678])
@pytest.mark.parametrize("dt", [1e-4, 1e-3, 0.7e-5])
@pytest.mark.parametrize("decay_input", [True, False])
def test_tau_comes_back_exactly(tau, dt, decay_input):
    back = imported(exported(LIFNode(tau, decay_input), dt), dt=dt)
    assert (back.tau, back.decay_input) == (tau, decay_input)


def test_a_changed_tau_wins_over_metadata():
    node = exported(LIFNode(2.0))
    node.tau[:] = 5e-4
    assert imported(node).tau == pytest.approx(5.0)
    assert imported(exported(LIFNode(2.0)), dt=5e-5).tau == pytest.approx(4.0)


def test_start_potential_comes_back():
    neuron = IFNode()
    neuron.set_reset_value("v", 0.25)
    back = imported(exported(neuron))
    assert back.v == 0.25 and back.get_reset_value("v") == 0.25
    assert "v_init" not in exported(IFNode(v_reset=0.1)).metadata["sj_nir"]


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        (IFNode(math.inf), "v_threshold=inf"),
        (IFNode(surrogate_function=Sigmoid(spiking=False)), "spiking=False"),
        (LIFNode(math.inf), "tau is inf"),
    ],
)
def test_neurons_that_nir_cannot_say(neuron, message):
    with pytest.raises(sj_nir.NotSupportedError, match=rf"0 \(\w+\): .*{message}"):
        exported(neuron)


def test_start_potentials_per_neuron_are_refused():
    neuron = IFNode()
    neuron.set_reset_value("v", torch.zeros(2, N))
    with pytest.raises(sj_nir.NotSupportedError, match="starts from a tensor"):
        exported(neuron)


class Squeeze(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(3)


def test_neurons_need_a_feature_axis():
    net = nn.Sequential(nn.Linear(2, 1), Squeeze(), IFNode())
    with pytest.raises(sj_nir.NotSupportedError, match="give it a feature axis") as caught:
        sj_nir.export_to_nir(net, torch.rand(3, 2))
    assert "(IFNode)" in str(caught.value)


def test_if_needs_the_dt_it_was_written_for():
    with pytest.raises(sj_nir.NotSupportedError, match=r"1/dt = 1000, got 10000; .*if_dt=0\.0001"):
        imported(if_(), dt=1e-3)
    with pytest.raises(sj_nir.NotSupportedError, match="1/if_dt = 1000, got 10000"):
        imported(if_(), if_dt=1e-3)
    with pytest.raises(sj_nir.NotSupportedError, match=r"got 0$"):
        imported(if_(r=0.0))
    assert isinstance(imported(if_(r=1.0), if_dt=1.0), IFNode)
    assert isinstance(imported(if_(r=1e4 * (1 + 1e-8))), IFNode)


@pytest.mark.parametrize(("r", "decay_input"), [(1.0, True), (10.0, False), (10 + 1e-7, False)])
def test_gain_tells_whether_the_input_decays(r, decay_input):
    assert imported(lif(r=r)).decay_input is decay_input


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"r": 2.0}, sj_nir.NotSupportedError, r"field 'r': expected 1 .* or tau/dt = 10 .* got 2"),
        ({"v_leak": 0.1}, sj_nir.NotSupportedError, "field 'v_leak': expected v_reset = 0.0"),
        ({"tau": 0.0}, sj_nir.NIRGraphError, "field 'tau': must be positive, got 0.0"),
        ({"tau": -1.0}, sj_nir.NIRGraphError, "field 'tau': must be positive, got -1.0"),
        ({"tau": 5e-5}, sj_nir.NIRGraphError, "field 'tau': 5e-05 s is not longer than dt"),
        ({"tau": 1e-4}, sj_nir.NIRGraphError, "field 'tau': 0.0001 s is not longer than dt"),
        ({"tau": math.nan}, sj_nir.NIRGraphError, "field 'tau': 3 of 3 values are NaN"),
        (
            {"v_threshold": np.array([1.0, 2.0, 1.0])},
            sj_nir.NotSupportedError,
            "field 'v_threshold': differs .* from 1.0 to 2.0; per-neuron parameters are not",
        ),
    ],
)
def test_fields_out_of_range_are_named(fields, error, message):
    with pytest.raises(error, match=rf"node 'n', {message}"):
        imported(lif(**fields))


def test_reset_can_be_chosen_for_foreign_graphs():
    assert imported(lif()).v_reset == 0.0
    assert imported(lif(), reset="soft").v_reset is None
    with pytest.raises(sj_nir.NotSupportedError, match=r"soft reset needs v_reset = 0, got -1.0"):
        imported(if_(v_reset=-1.0), reset="soft")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"reset": "medium"}, "field 'metadata/sj_nir/reset': expected one of"),
        ({"fire": "=>"}, "field 'metadata/sj_nir/fire': expected one of"),
        ({"tau": "long"}, "field 'metadata/sj_nir/tau': expected a number"),
    ],
)
def test_damaged_metadata_are_named(record, message):
    node = lif()
    node.metadata = {"sj_nir": record}
    with pytest.raises(sj_nir.NIRGraphError, match=message):
        imported(node)


@pytest.mark.parametrize("metadata", [{}, {"sj_nir": 3}, {"other": {"reset": "soft"}}, None])
def test_foreign_metadata_do_not_matter(metadata):
    node = lif()
    node.metadata = metadata
    assert imported(node).v_reset == 0.0
