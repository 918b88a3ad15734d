from __future__ import annotations

import logging

import nir
import numpy as np
import pytest
import torch

import sj_nir
from sj_neurons.neuron import ActivationAwareIFNode, HalfThresholdIFNode, IFNode, NonSpikingIFNode
from sj_nir import modules

N = 3


def if_(**fields) -> nir.IF:
    values = {"r": 1e4, "v_threshold": 1.0, "v_reset": 0.0, **fields}
    return nir.IF(**{k: v if np.ndim(v) else np.full(N, v) for k, v in values.items()})


def euler(node: nir.IF | nir.I, x_seq: np.ndarray, dt: float, reset: str = "hard") -> np.ndarray:
    """The explicit Euler rule in float64; an IF fires above its threshold."""
    spiking = isinstance(node, nir.IF)
    v = np.broadcast_to(node.v_reset if spiking else 0.0, x_seq.shape[1:]).astype(np.float64)
    outputs = []
    for x in x_seq:
        v = v + dt * node.r * x
        if not spiking:
            outputs.append(v)
            continue
        z = v > node.v_threshold
        lowered = v - (node.v_threshold - node.v_reset)
        v = np.where(z, node.v_reset if reset == "hard" else lowered, v)
        outputs.append(z)
    return np.stack(outputs).astype(np.float64)


def sequence(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 1.0, (20, 2, N))


def test_fields_are_one_float64_per_neuron(node_of):
    node = node_of(IFNode(2.0, -0.5), N, dt=1e-3)
    for field, value in {"r": 1000.0, "v_threshold": 2.0, "v_reset": -0.5}.items():
        np.testing.assert_array_equal(getattr(node, field), np.full(N, value))
        assert getattr(node, field).dtype == np.float64


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_neurons_with_parameters_of_their_own_follow_the_euler_rule(graph_of, reset, step_mode):
    node = if_(
        r=np.array([1e4, 4e3, 2e4]),
        v_threshold=np.array([0.7, 1.0, 1.3]),
        v_reset=np.array([-0.2, 0.0, 0.1]),
    )
    net = sj_nir.import_from_nir(
        graph_of(node, N), dtype=torch.float64, step_mode=step_mode, reset=reset
    )
    assert isinstance(net.get_submodule("n"), modules.IF)
    x = torch.from_numpy(sequence())
    y = net(x)[0] if step_mode == "m" else torch.stack([net(step)[0] for step in x])
    np.testing.assert_array_equal(y.numpy(), euler(node, sequence(), 1e-4, reset))


def test_thresholds_of_their_own_stay_in_a_plain_neuron(module_of, node_of):
    module = module_of(if_(v_threshold=np.array([0.5, 1.0, 2.0])), N, threshold=">=")
    assert type(module) is IFNode
    assert torch.equal(module.v_threshold, torch.tensor([0.5, 1.0, 2.0]))
    assert list(module.state_dict()) == ["v_threshold"]
    np.testing.assert_array_equal(node_of(module, N).v_threshold, [0.5, 1.0, 2.0])


def test_gain_in_other_units_is_kept_and_told(module_of, caplog):
    with caplog.at_level(logging.WARNING):
        module = module_of(if_(r=1.0), N)
    assert torch.equal(module.r, torch.full((N,), 1e-4))
    assert "import with if_dt=1.0" in caplog.text
    caplog.clear()
    assert type(module_of(if_(r=1.0), N, if_dt=1.0)) is IFNode
    assert type(module_of(if_(r=1e4 * (1 + 1e-8)), N)) is IFNode
    assert not caplog.text


def test_the_integrator_follows_the_euler_rule(graph_of):
    node = nir.I(r=np.array([1e4, 300.0, -5e3]))
    net = sj_nir.import_from_nir(graph_of(node, N), dtype=torch.float64, step_mode="m")
    y = net(torch.from_numpy(sequence()))[0]
    np.testing.assert_allclose(y.numpy(), euler(node, sequence(), 1e-4), rtol=1e-12, atol=1e-14)
    back = sj_nir.export_to_nir(net, torch.rand(4, 2, N, dtype=torch.float64)).nodes["n"]
    np.testing.assert_array_equal(back.r, node.r)


def test_start_potentials_come_back(node_of, module_of):
    neuron = IFNode()
    neuron.set_reset_value("v", 0.25)
    back = module_of(node_of(neuron, N), N)
    assert back.v == 0.25 and back.get_reset_value("v") == 0.25
    assert "v_init" not in node_of(IFNode(v_reset=0.1), N).metadata["sj_nir"]
    integrator = modules.I(1.0)
    integrator.start_from(torch.tensor([0.0, 1.0, 2.0]))
    back = module_of(node_of(integrator, N), N)
    assert torch.equal(back.get_reset_value("v"), torch.tensor([0.0, 1.0, 2.0]))


def test_start_potentials_of_samples_are_refused(node_of):
    neuron = IFNode()
    neuron.set_reset_value("v", torch.zeros(2, N))
    with pytest.raises(sj_nir.NotSupportedError, match=r"start potential of shape \(2, 3\)"):
        node_of(neuron, N)


@pytest.mark.parametrize(
    "neuron",
    [
        HalfThresholdIFNode(1.5),
        HalfThresholdIFNode(torch.tensor([0.5, 1.0, 1.5])),
        ActivationAwareIFNode(torch.tensor([0.5, 1.0, 1.5])),
        IFNode(torch.tensor([[0.5, 1.0, 1.5]]), v_reset=None),
        modules.IF(torch.tensor([0.5, 1.0, 1.5]), soft_reset=True),
        modules.IF(0.7, 1.2, torch.tensor([0.1, 0.2, 0.3]), detach_reset=True),
    ],
)
def test_every_neuron_without_leak_comes_back_exactly(neuron):
    x_seq = torch.from_numpy(sequence(1)).float()
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(neuron, x_seq[0]))
    for x in x_seq:
        assert torch.equal(back(x)[0], neuron(x))


def test_channels_of_a_threshold_lie_along_their_dimension(node_of):
    neuron = ActivationAwareIFNode(torch.tensor([1.0, 2.0]), channel_dim=1)
    thresholds = node_of(neuron, 2, 3).v_threshold
    np.testing.assert_array_equal(thresholds, [[1.0] * 3, [2.0] * 3])


def test_an_offset_is_refused(node_of):
    with pytest.raises(sj_nir.NotSupportedError, match="v_offset is not 0"):
        node_of(ActivationAwareIFNode(1.0, 0.1), N)


def test_wrong_shapes_are_named(module_of):
    node = if_()
    node.r = np.ones(1)
    with pytest.raises(sj_nir.NIRGraphError, match=r"node 'n', field 'r': shape \(1,\) differs"):
        module_of(node, N)
    with pytest.raises(sj_nir.NIRGraphError, match=r"parameters of shape \(3,\), but gets \(4,\)"):
        module_of(if_(), 4)
    node = if_()
    node.metadata = {"sj_nir": {"v_init": np.array([0.0, 1.0])}}
    with pytest.raises(sj_nir.NIRGraphError, match=r"field 'metadata/sj_nir/v_init': shape \(2,\)"):
        module_of(node, N)


def test_a_readout_of_potentials_becomes_an_integrator():
    x_seq = torch.from_numpy(sequence(1)).float()
    neuron = NonSpikingIFNode()
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(neuron, x_seq), step_mode="m")
    assert type(back.get_submodule("_0")) is modules.I
    assert torch.equal(back(x_seq)[0], torch.stack(neuron(x_seq)))
