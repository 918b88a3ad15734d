from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import nn

import sj_nir
from sj_neurons.neuron import IFNode


def foreign(threshold: float = 1.0) -> nir.NIRGraph:
    shape = np.array([1])
    node = nir.IF(r=np.full(1, 1e4), v_threshold=np.full(1, threshold))
    return nir.NIRGraph(
        {"i": nir.Input(shape), "n": node, "o": nir.Output(shape)},
        [("i", "n"), ("n", "o")],
        type_check=False,
    )


def fires_at(graph: nir.NIRGraph, x: float, dtype=torch.float32, **arguments) -> bool:
    net = sj_nir.import_from_nir(graph, dtype=dtype, **arguments)
    return bool(net(torch.tensor([[x]], dtype=dtype))[0].item())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("threshold", [1.0, 0.1, -0.5, 0.0])
def test_foreign_neurons_fire_only_above_the_threshold(dtype, threshold):
    at = torch.tensor(threshold, dtype=dtype)
    above = at.double().item() + max(abs(threshold), 1e-3) * 2e-2
    assert not fires_at(foreign(threshold), at.item(), dtype)
    assert fires_at(foreign(threshold), above, dtype)
    assert fires_at(foreign(threshold), at.item(), dtype, threshold=">=")


def test_the_next_number_above_fires():
    assert fires_at(foreign(), float(np.nextafter(np.float32(1), np.float32(2))))


def test_our_neurons_fire_at_the_threshold_unless_told_otherwise():
    graph = sj_nir.export_to_nir(nn.Sequential(IFNode()), torch.rand(1, 1))
    assert fires_at(graph, 1.0)
    assert not fires_at(graph, 1.0, threshold=">")


def test_export_restores_threshold_and_rule():
    net = sj_nir.import_from_nir(foreign(0.3))
    node = sj_nir.export_to_nir(net, torch.rand(1, 1)).nodes["n"]
    assert node.v_threshold.tolist() == [0.3]
    assert node.metadata["sj_nir"]["fire"] == ">"
    net.get_submodule("n").v_threshold = 0.5
    node = sj_nir.export_to_nir(net, torch.rand(1, 1)).nodes["n"]
    assert node.v_threshold.tolist() == [0.5]
    assert node.metadata["sj_nir"]["fire"] == ">="
