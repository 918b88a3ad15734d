from __future__ import annotations

import math

import nir
import numpy as np
import pytest
import torch

import sj_nir
from sj_neurons.neuron import (
    LIFNode,
    MPBNLIFNode,
    NonSpikingLIFNode,
    OTTTLIFNode,
    ParametricLIFNode,
    SLTTLIFNode,
)
from sj_nir import modules

N = 3


def lif(**fields) -> nir.LIF:
    values = {"tau": 1e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, **fields}
    return nir.LIF(**{k: v if np.ndim(v) else np.full(N, v) for k, v in values.items()})


def euler(node: nir.LIF | nir.LI, x_seq: np.ndarray, dt: float, reset: str = "hard"):
    """The explicit Euler rule in float64; a LIF fires above its threshold."""
    spiking = isinstance(node, nir.LIF)
    v = np.broadcast_to(node.v_reset if spiking else node.v_leak, x_seq.shape[1:])
    outputs = []
    for x in x_seq:
        v = v + (dt / node.tau) * ((node.v_leak - v) + node.r * x)
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
    ("neuron", "fields"),
    [
        (
            LIFNode(3.0, v_reset=-0.2),
            {"tau": 3.0 * 1e-3, "r": 1, "v_leak": -0.2, "v_reset": -0.2},
        ),
        (LIFNode(3.0, decay_input=False), {"tau": 3.0 * 1e-3, "r": 3.0, "v_leak": 0.0}),
        (LIFNode(3.0, v_reset=None), {"v_leak": 0.0, "v_reset": 0.0}),
    ],
)
def test_fields_are_one_float64_per_neuron(node_of, neuron, fields):
    node = node_of(neuron, N, dt=1e-3)
    for field, value in fields.items():
        np.testing.assert_array_equal(getattr(node, field), np.full(N, value))
        assert getattr(node, field).dtype == np.float64


def test_parametric_lif_becomes_a_lif_with_its_present_tau(node_of):
    neuron = ParametricLIFNode(10.0)
    neuron.w.data.fill_(-1.0)
    assert node_of(neuron, N).tau[0] == pytest.approx((1 + math.e) * 1e-4, rel=1e-6)


@pytest.mark.parametrize("tau", [2.0, 3.0, 7.3, 100 / 3, 1.0000001, 12345.678])
@pytest.mark.parametrize("dt", [1e-4, 1e-3, 0.7e-5])
@pytest.mark.parametrize("decay_input", [True, False])
def test_tau_comes_back_exactly(node_of, module_of, tau, dt, decay_input):
    back = module_of(node_of(LIFNode(tau, decay_input), N, dt=dt), N, dt=dt)
    assert (back.tau, back.decay_input) == (tau, decay_input)


def test_a_changed_tau_wins_over_metadata(node_of, module_of):
    node = node_of(LIFNode(2.0), N)
    node.tau[:] = 5e-4
    assert module_of(node, N).tau == pytest.approx(5.0)
    assert module_of(node_of(LIFNode(2.0), N), N, dt=5e-5).tau == pytest.approx(4.0)


@pytest.mark.parametrize(("r", "decay_input"), [(1.0, True), (10.0, False), (10 + 1e-7, False)])
def test_gain_tells_whether_the_input_decays(module_of, r, decay_input):
    module = module_of(lif(r=r), N)
    assert type(module) is LIFNode and module.decay_input is decay_input


@pytest.mark.parametrize(
    "fields",
    [
        {"r": 2.0},
        {"v_leak": 0.1},
        {"v_reset": 0.2},
        {"tau": 1e-4},
        {"tau": np.array([1e-3, 2e-3, 1e-2])},
        {"r": np.array([1.0, 2.0, 0.5]), "v_leak": np.array([0.1, 0.0, 0.2])},
        {"v_threshold": np.array([0.5, 1.0, 1.5]), "v_reset": np.array([0.0, -0.1, 0.1])},
        {"v_threshold": np.array([0.5, 1.0, 1.5])},
    ],
)
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_any_parameters_follow_the_euler_rule(graph_of, fields, reset):
    node = lif(**fields)
    net = sj_nir.import_from_nir(graph_of(node, N), dtype=torch.float64, step_mode="m", reset=reset)
    y = net(torch.from_numpy(sequence()))[0]
    expected = euler(node, sequence(), 1e-4, reset)
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(y.numpy(), expected)


def test_the_integrator_follows_the_euler_rule(graph_of):
    node = nir.LI(
        tau=np.array([1e-3, 2e-3, 1e-4]), r=np.array([1.0, 2.0, 0.5]), v_leak=np.array([0, 0.1, 1])
    )
    net = sj_nir.import_from_nir(graph_of(node, N), dtype=torch.float64)
    x = torch.from_numpy(sequence())
    y = torch.stack([net(step)[0] for step in x])
    np.testing.assert_allclose(y.numpy(), euler(node, sequence(), 1e-4), rtol=1e-12, atol=1e-14)
    back = sj_nir.export_to_nir(net, x[0]).nodes["n"]
    for field in ("tau", "r", "v_leak"):
        np.testing.assert_array_equal(getattr(back, field), getattr(node, field))
    assert set(back.metadata["sj_nir"]) == {"dt"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tau": 0.0}, "field 'tau': must be positive, got 0.0"),
        ({"tau": -1.0}, "field 'tau': must be positive, got -1.0"),
        ({"tau": np.array([1.0, -1.0, 1.0])}, "field 'tau': must be positive, got -1.0"),
        ({"tau": 5e-5}, "field 'tau': 5e-05 s is shorter than dt"),
        ({"tau": math.nan}, "field 'tau': 3 of 3 values are NaN"),
        ({"v_reset": math.inf}, "field 'v_reset': 3 of 3 values are NaN or infinite"),
        ({"r": np.array([1.0, math.nan, 1.0])}, "field 'r': 1 of 3 values are NaN"),
    ],
)
def test_fields_out_of_range_are_named(module_of, fields, message):
    with pytest.raises(sj_nir.NIRGraphError, match=rf"node 'n', {message}"):
        module_of(lif(**fields), N)


def test_an_infinite_tau_is_refused(node_of):
    with pytest.raises(sj_nir.NotSupportedError, match=r"0 \(LIFNode\): tau is inf"):
        node_of(LIFNode(math.inf), N)


@pytest.mark.parametrize(
    "neuron",
    [
        LIFNode(torch.tensor(3.0).item(), False, torch.tensor([0.5, 1.0, 1.5])),
        LIFNode(2.5, v_threshold=0.7, v_reset=-0.2),
        SLTTLIFNode(3.0),
        OTTTLIFNode(3.0).eval(),
        modules.LIF(torch.tensor([2.0, 3.0, 7.0]), 1.3, 0.1, 0.9, -0.1),
        modules.LIF(3.0, soft_reset=True),
        modules.LIF(3.0, 3.0),
    ],
)
def test_every_leaky_neuron_comes_back_exactly(neuron):
    x_seq = torch.from_numpy(sequence(1)).float()
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(neuron, x_seq[0]))
    for x in x_seq:
        assert torch.equal(back(x)[0], neuron(x))


def test_a_general_neuron_stays_general(node_of, module_of):
    assert type(module_of(node_of(modules.LIF(3.0), N), N)) is modules.LIF
    assert type(module_of(node_of(LIFNode(3.0), N), N)) is LIFNode


def test_a_readout_of_potentials_becomes_an_integrator(node_of):
    x_seq = torch.from_numpy(sequence(1)).float()
    for tau in (3.0, 10 / 3):
        neuron = NonSpikingLIFNode(tau)
        back = sj_nir.import_from_nir(sj_nir.export_to_nir(neuron, x_seq), step_mode="m")
        assert type(back.get_submodule("_0")) is modules.LI
        assert torch.equal(back(x_seq)[0], torch.stack(neuron(x_seq)))
    with pytest.raises(sj_nir.NotSupportedError, match="changes the time and batch axes"):
        node_of(NonSpikingLIFNode(decode="last-mem"), N)


def folded(**options) -> MPBNLIFNode:
    neuron = MPBNLIFNode(3.0, out_channels=2, **options)
    norm = neuron.vbn
    norm.running_mean.copy_(torch.tensor([0.1, -0.1]))
    norm.running_var.copy_(torch.tensor([0.5, 2.0]))
    return neuron.eval()


def test_a_folded_norm_becomes_a_threshold_per_channel():
    neuron = folded()
    neuron.re_parameterize_v_threshold()
    x_seq = 2 * torch.rand(12, 2, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(neuron, x_seq[0]))
    total = 0.0
    for x in x_seq:
        spikes = neuron(x)
        assert torch.equal(back(x)[0], spikes)
        total += spikes.sum().item()
    assert 0 < total < x_seq.numel()


def test_a_switched_off_norm_is_left_out(node_of):
    neuron = MPBNLIFNode(3.0, mpbn=False, out_features=N, learnable_vth=True)
    neuron.a.data.copy_(torch.tensor([0.0, 0.5, -0.5]))
    thresholds = node_of(neuron, N).v_threshold
    np.testing.assert_allclose(thresholds, np.exp([0.0, 0.5, -0.5]), rtol=1e-6)


def test_norms_of_potentials_that_do_not_fold_are_refused(node_of):
    with pytest.raises(sj_nir.NotSupportedError, match="it normalises its potential"):
        node_of(folded(), 2, 3, 3)
    soft, down = folded(v_reset=None), folded()
    down.vbn.weight.data[0] = -1.0
    for neuron, message in ((soft, "not that of its reset"), (down, "is not positive")):
        neuron.re_parameterize_v_threshold()
        with pytest.raises(sj_nir.NotSupportedError, match=message):
            node_of(neuron, 2, 3, 3)


@pytest.mark.parametrize("tau", [torch.tensor([2.0, 0.5, 3.0]), -1.0])
def test_time_constants_below_a_step_are_refused(node_of, tau):
    for neuron in (modules.LI(tau), modules.LIF(tau)):
        with pytest.raises(sj_nir.NotSupportedError, match=r"tau is .* steps; it must be"):
            node_of(neuron, N)
