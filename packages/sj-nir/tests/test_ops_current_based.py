from __future__ import annotations

import nir
import numpy as np
import pytest
import torch

import sj_nir
from sj_neurons.neuron import CUBALIFNode
from sj_neurons.surrogate import Rect
from sj_nir import modules

N = 3
DT = 1e-3


def cubalif(**fields) -> nir.CubaLIF:
    values = {
        "tau_syn": 4e-3,
        "tau_mem": 1e-2,
        "r": 2.0,
        "v_leak": 0.0,
        "v_threshold": 0.6,
        "v_reset": 0.0,
        "w_in": 1.5,
        **fields,
    }
    return nir.CubaLIF(**{k: v if np.ndim(v) else np.full(N, v) for k, v in values.items()})


def euler(node: nir.CubaLIF | nir.CubaLI, x_seq: np.ndarray, reset: str = "hard") -> np.ndarray:
    """The explicit Euler rule in float64; a CubaLIF fires above its threshold."""
    spiking = isinstance(node, nir.CubaLIF)
    v = np.broadcast_to(node.v_reset if spiking else node.v_leak, x_seq.shape[1:])
    i = np.zeros(x_seq.shape[1:])
    outputs = []
    for x in x_seq:
        i = i + (DT / node.tau_syn) * (-i + node.w_in * x)
        v = v + (DT / node.tau_mem) * ((node.v_leak - v) + node.r * i)
        if not spiking:
            outputs.append(v)
            continue
        z = v > node.v_threshold
        lowered = v - (node.v_threshold - node.v_reset)
        v = np.where(z, node.v_reset if reset == "hard" else lowered, v)
        outputs.append(z)
    return np.stack(outputs).astype(np.float64)


def sequence(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 3.0, (30, 2, N))


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, modules.CubaLIF),
        ({"w_in": 4.0, "r": 10.0}, CUBALIFNode),
        ({"w_in": 4.0, "r": 10.0, "v_threshold": np.array([3.0, 4.0, 5.0])}, CUBALIFNode),
        ({"w_in": 4.0, "r": 10.0, "v_leak": 0.1}, modules.CubaLIF),
        ({"w_in": 4.0, "r": 10.0, "v_reset": np.array([0.0, 0.1, 0.2])}, modules.CubaLIF),
        ({"tau_syn": DT, "w_in": 1.0, "r": 10.0}, CUBALIFNode),
        ({"tau_syn": np.array([DT, 2e-3, 5e-3]), "tau_mem": np.array([1e-2, DT, 3e-3])}, None),
    ],
)
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_any_parameters_follow_the_euler_rule(graph_of, fields, kind, reset):
    node = cubalif(**fields)
    net = sj_nir.import_from_nir(
        graph_of(node, N), DT, dtype=torch.float64, step_mode="m", reset=reset
    )
    assert kind is None or type(net.get_submodule("n")) is kind
    y = net(torch.from_numpy(sequence()))[0]
    expected = euler(node, sequence(), reset)
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(y.numpy(), expected)


def test_the_integrator_follows_the_euler_rule(graph_of):
    node = nir.CubaLI(
        tau_syn=np.array([2e-3, 3e-3, DT]),
        tau_mem=np.array([5e-3, DT, 3e-3]),
        r=np.array([1.0, 2.0, 0.5]),
        v_leak=np.array([0.0, 0.1, 1.0]),
        w_in=np.array([1.0, 0.5, 2.0]),
    )
    net = sj_nir.import_from_nir(graph_of(node, N), DT, dtype=torch.float64)
    x = torch.from_numpy(sequence())
    y = torch.stack([net(step)[0] for step in x])
    np.testing.assert_allclose(y.numpy(), euler(node, sequence()), rtol=1e-12, atol=1e-14)
    back = sj_nir.export_to_nir(net, x[0], dt=DT).nodes["n"]
    for field in ("tau_syn", "tau_mem", "r", "v_leak", "w_in"):
        np.testing.assert_array_equal(getattr(back, field), getattr(node, field))


def test_spikingjelly_rules_of_export(node_of):
    node = node_of(CUBALIFNode(0.5, 0.75, 0.4, -0.1), N, dt=DT)
    expected = {
        "tau_syn": 2 * DT,
        "tau_mem": 4 * DT,
        "w_in": 2.0,
        "r": 4.0,
        "v_leak": 0.0,
        "v_threshold": 0.4,
        "v_reset": -0.1,
    }
    for field, value in expected.items():
        np.testing.assert_array_equal(getattr(node, field), np.full(N, value))


@pytest.mark.parametrize(("c_decay", "v_decay"), [(0.5, 0.75), (0.9, 0.3), (0.0, 1 / 3)])
@pytest.mark.parametrize("v_reset", [0.0, -0.1, None])
def test_decays_come_back_exactly(c_decay, v_decay, v_reset):
    neuron = CUBALIFNode(c_decay, v_decay, v_reset=v_reset)
    x_seq = torch.from_numpy(sequence(1)).float()
    net = sj_nir.import_from_nir(sj_nir.export_to_nir(neuron, x_seq[0], dt=DT), DT)
    back = net.get_submodule("_0")
    assert (back.c_decay, back.v_decay, back.v_reset) == (c_decay, v_decay, v_reset)
    assert isinstance(back.surrogate_function, Rect)
    for x in x_seq:
        assert torch.equal(net(x)[0], neuron(x))


@pytest.mark.parametrize(
    "neuron",
    [
        modules.CubaLIF(torch.tensor([2.0, 3.0, 7.0]), 4.0, 1.5, 0.1, 0.7, -0.2, 1.3),
        modules.CubaLIF(2.0, 4.0, 4.0, w_in=2.0, soft_reset=True),
        modules.CubaLI(2.0, torch.tensor([2.0, 3.0, 7.0]), v_leak=0.3),
    ],
)
def test_general_neurons_come_back_exactly(neuron):
    x_seq = torch.from_numpy(sequence(1)).float()
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(neuron, x_seq[0], dt=DT), DT)
    assert type(back.get_submodule("_0")) is type(neuron)
    for x in x_seq:
        assert torch.equal(back(x)[0], neuron(x))


@pytest.mark.parametrize(("c_decay", "v_decay", "what"), [(1.0, 0.5, "syn"), (0.5, -0.1, "mem")])
def test_decays_without_time_constant_are_refused(node_of, c_decay, v_decay, what):
    with pytest.raises(sj_nir.NotSupportedError, match=rf"no tau_{what}; .* must be in \[0, 1\)"):
        node_of(CUBALIFNode(c_decay, v_decay), N)


def test_a_current_under_way_is_refused(node_of):
    neuron = CUBALIFNode()
    neuron.set_reset_value("c", 0.5)
    with pytest.raises(sj_nir.NotSupportedError, match=r"current c starts from 0\.5"):
        node_of(neuron, N)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tau_syn": 5e-4}, "field 'tau_syn': 0.0005 s is shorter than dt = 0.001"),
        ({"tau_mem": -1.0}, "field 'tau_mem': must be positive"),
        ({"w_in": np.inf}, "field 'w_in': 3 of 3 values"),
    ],
)
def test_fields_out_of_range_are_named(module_of, fields, message):
    with pytest.raises(sj_nir.NIRGraphError, match=rf"node 'n', {message}"):
        module_of(cubalif(**fields), N, dt=DT)
