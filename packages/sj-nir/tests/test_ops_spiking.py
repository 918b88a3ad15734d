from __future__ import annotations

import math

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import sj_nir
from sj_neurons.neuron import CUBALIFNode, IFNode, LIFNode
from sj_nir import modules

N = 3


def lif(**metadata) -> nir.LIF:
    values = {"tau": 1e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    return nir.LIF(**{key: np.full(N, value) for key, value in values.items()}, metadata=metadata)


def test_reset_can_be_chosen_for_foreign_graphs(module_of):
    assert module_of(lif(), N).v_reset == 0.0
    assert module_of(lif(), N, reset="soft").v_reset is None


def test_a_soft_reset_is_told_and_comes_back(node_of, module_of, caplog):
    node = node_of(IFNode(v_reset=None), N)
    assert "node '_0': the soft reset is kept in metadata only" in caplog.text
    assert module_of(node, N).v_reset is None
    assert module_of(node, N, reset="hard").v_reset == 0.0


def test_a_detached_reset_comes_back(node_of, module_of):
    assert module_of(node_of(LIFNode(detach_reset=True), N), N).detach_reset is True
    assert "detach_reset" not in node_of(LIFNode(), N).metadata["sj_nir"]


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        (IFNode(math.inf), "v_threshold=inf must be finite"),
        (IFNode(torch.tensor([1.0, math.nan, 1.0])), "v_threshold must be finite"),
        (IFNode(torch.ones(2, N)), r"v_threshold of shape \(2, 3\) does not fit samples"),
    ],
)
def test_neurons_that_nir_cannot_say(node_of, neuron, message):
    with pytest.raises(sj_nir.NotSupportedError, match=rf"0 \(\w+\): .*{message}"):
        node_of(neuron, N)


class Squeeze(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(3)


def test_neurons_need_a_feature_axis():
    net = nn.Sequential(nn.Linear(2, 1), Squeeze(), IFNode())
    with pytest.raises(sj_nir.NotSupportedError, match="give it a feature axis") as caught:
        sj_nir.export_to_nir(net, torch.rand(3, 2))
    assert "(IFNode)" in str(caught.value)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"reset": "medium"}, "field 'metadata/sj_nir/reset': expected one of"),
        ({"fire": "=>"}, "field 'metadata/sj_nir/fire': expected one of"),
        ({"tau": "long"}, "field 'metadata/sj_nir/tau': expected a number"),
        ({"tau": np.ones(3)}, "field 'metadata/sj_nir/tau': expected a number"),
        ({"v_init": math.nan}, "field 'metadata/sj_nir/v_init': expected finite numbers"),
        ({"per_neuron": "yes"}, "field 'metadata/sj_nir/per_neuron': expected true or false"),
    ],
)
def test_damaged_metadata_are_named(module_of, record, message):
    with pytest.raises(sj_nir.NIRGraphError, match=message):
        module_of(lif(sj_nir=record), N)


@pytest.mark.parametrize("metadata", [{}, {"sj_nir": 3}, {"other": {"reset": "soft"}}, None])
def test_foreign_metadata_do_not_matter(module_of, metadata):
    node = lif()
    node.metadata = metadata
    assert module_of(node, N).v_reset == 0.0


def test_what_comes_back_learns(module_of):
    node = lif()
    node.r = np.array([1.0, 2.0, 3.0])
    module = module_of(node, N, step_mode="m")
    x = torch.full((5, 2, N), 2.0, requires_grad=True)
    module(x).sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    assert module.tau.grad is None
    module.tau.requires_grad_()
    module.reset()
    module(x).sum().backward()
    assert module.tau.grad is not None and module.tau.grad.shape == (N,)


def one_each(low: float, high: float) -> st.SearchStrategy[torch.Tensor]:
    number = st.floats(low, high, width=32, allow_subnormal=False)
    return st.lists(number, min_size=N, max_size=N).map(torch.tensor)


@settings(deadline=None, max_examples=40)
@given(
    tau=one_each(1.0, 1e4),
    r=one_each(-100.0, 100.0),
    v_threshold=one_each(-2.0, 2.0),
    v_reset=one_each(-2.0, 2.0),
    soft=st.booleans(),
    dt=st.floats(1e-6, 1.0),
)
def test_float32_parameters_come_back_to_the_last_bit(tau, r, v_threshold, v_reset, soft, dt):
    for neuron in (
        modules.IF(r, v_threshold, v_reset, soft_reset=soft),
        modules.LIF(tau, r, v_reset, v_threshold, v_reset, soft_reset=soft),
        modules.CubaLIF(tau, tau, r, v_reset, v_threshold, v_reset, r, soft_reset=soft),
        modules.I(r),
        modules.LI(tau, r, v_reset),
        modules.CubaLI(tau, tau, r, v_reset, r),
    ):
        graph = sj_nir.export_to_nir(nn.Sequential(neuron), torch.rand(1, N), dt=dt)
        back = sj_nir.import_from_nir(graph, dt).get_submodule("_0")
        assert type(back) is type(neuron)
        for name, parameter in neuron.named_parameters():
            assert torch.equal(getattr(back, name).expand(N), parameter.expand(N)), name
        for name, value in neuron.named_memories():
            assert torch.equal(*(torch.as_tensor(v) for v in (value, getattr(back, name))))


@settings(deadline=None, max_examples=40)
@given(
    tau=st.floats(1.000001, 1e6),
    decay=st.floats(0.0, 0.9999),
    v_threshold=st.floats(-2.0, 2.0),
    v_reset=st.none() | st.floats(-2.0, 2.0),
    decay_input=st.booleans(),
    dt=st.floats(1e-6, 1.0),
)
def test_plain_neurons_come_back_to_the_last_bit(tau, decay, v_threshold, v_reset, decay_input, dt):
    for neuron in (
        IFNode(v_threshold, v_reset),
        LIFNode(tau, decay_input, v_threshold, v_reset),
        CUBALIFNode(decay, 1.0 - 1.0 / tau, v_threshold, v_reset),
    ):
        graph = sj_nir.export_to_nir(nn.Sequential(neuron), torch.rand(1, N), dt=dt)
        back = sj_nir.import_from_nir(graph, dt).get_submodule("_0")
        assert repr(back) == repr(neuron)
