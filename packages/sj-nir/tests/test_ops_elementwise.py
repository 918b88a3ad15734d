from __future__ import annotations

import nir
import numpy as np
import pytest
import torch

import sj_nir
from sj_neurons.surrogate import ATan
from sj_nir import modules


def test_a_scale_comes_back(node_of, module_of):
    module = modules.Scale(torch.tensor([[1.0, 2.0], [0.1, -3.0]]))
    node = node_of(module, 2, 2)
    assert node.scale.dtype == np.float32
    assert torch.equal(module_of(node, 2, 2).scale, module.scale)
    assert node_of(modules.Scale(2.0), 3).scale.tolist() == [2.0] * 3
    assert node_of(modules.Scale(torch.tensor(0.1, dtype=torch.float64)), 1).scale[0] == 0.1


@pytest.mark.parametrize("rule", [">", ">="])
def test_a_threshold_decides_at_equality(graph_of, rule):
    node = nir.Threshold(np.array([0.1, 0.5, -1.0]))
    net = sj_nir.import_from_nir(graph_of(node, 3), threshold=rule)
    at = torch.tensor([[0.1, 0.5, -1.0]])
    assert net(at)[0].tolist() == [[float(rule == ">=")] * 3]
    assert net(at + 0.01)[0].tolist() == [[1.0] * 3]
    back = sj_nir.export_to_nir(net, at).nodes["n"]
    np.testing.assert_array_equal(back.threshold, node.threshold)
    assert back.metadata["sj_nir"]["fire"] == rule


def test_a_threshold_has_a_surrogate_gradient(node_of, module_of):
    module = modules.Threshold(torch.tensor([0.5, 1.0]), ATan(3.0))
    back = module_of(node_of(module, 2), 2)
    assert repr(back) == repr(module)
    x = torch.ones(1, 2, requires_grad=True)
    back(x).sum().backward()
    assert x.grad is not None and x.grad[0, 1] == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (nir.Scale(np.array([1.0, np.nan])), "field 'scale': 1 of 2 values are NaN"),
        (nir.Threshold(np.array([np.inf, 1.0])), "field 'threshold': 1 of 2 values are NaN"),
    ],
)
def test_values_that_are_not_finite_are_named(module_of, node, message):
    with pytest.raises(sj_nir.NIRGraphError, match=f"node 'n', {message}"):
        module_of(node, 2)
    with pytest.raises(sj_nir.NIRGraphError, match=r"parameters of shape \(2,\), but gets \(3,\)"):
        module_of(node, 3)
