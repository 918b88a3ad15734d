from __future__ import annotations

import nir
import numpy as np
import pytest
import torch

import sj_nir
from sj_neurons import surrogate
from sj_neurons.neuron import IFNode, LIFNode

N = 3


@pytest.mark.parametrize(
    "function",
    [
        surrogate.ATan(3.0),
        surrogate.Sigmoid(2.0),
        surrogate.PiecewiseLeakyReLU(2.0, 0.1),
        surrogate.SquarewaveFourierSeries(),
        surrogate.Rect(),
    ],
)
def test_surrogates_come_back_from_a_file(tmp_path, function):
    net = torch.nn.Sequential(LIFNode(surrogate_function=function))
    sj_nir.export_to_nir(net, torch.rand(1, N), tmp_path / "net.nir")
    back = sj_nir.import_from_nir(tmp_path / "net.nir").get_submodule("_0")
    assert repr(back.surrogate_function) == repr(function)


def test_the_default_is_not_written(node_of, module_of):
    node = node_of(IFNode(), N)
    assert "surrogate" not in node.metadata["sj_nir"]
    assert repr(module_of(node, N).surrogate_function) == repr(surrogate.Sigmoid())


def test_functions_from_elsewhere_are_exported_without_their_gradient(node_of, module_of):
    neuron = IFNode(surrogate_function=lambda u: (u >= 0).to(u))
    node = node_of(neuron, N)
    assert "surrogate" not in node.metadata["sj_nir"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (surrogate.Sigmoid(spiking=False), "spiking=False"),
        (surrogate.MultiLevelSpikeCount(4), "MultiLevelSpikeCount puts out other values"),
        (surrogate.PoissonPass(), "PoissonPass puts out other values"),
        (torch.relu, "puts out other values than the spikes"),
    ],
)
def test_other_outputs_than_spikes_are_refused(node_of, function, message):
    with pytest.raises(sj_nir.NotSupportedError, match=message):
        node_of(IFNode(surrogate_function=function), N)


@pytest.mark.parametrize(
    "entry",
    ["ATan", {"alpha": 2.0}, {"name": "Step"}, {"name": "ATan", "alpha": -1.0}, {"name": 3}],
)
def test_unknown_surrogates_are_named(module_of, entry):
    node = nir.IF(np.full(N, 1e4), np.ones(N), metadata={"sj_nir": {"surrogate": entry}})
    with pytest.raises(sj_nir.NIRGraphError, match="field 'metadata/sj_nir/surrogate': expected"):
        module_of(node, N)
