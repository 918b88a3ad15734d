from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import nn

import sj_layers as layer
import sj_nir
from sj_nir import modules


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Linear(3, 4), (3,)),
        (layer.Linear(3, 4, bias=False), (3,)),
        (layer.SpikeLinear(3, 4), (3,)),
        (layer.WSLinear(3, 4), (3,)),
        (nn.Linear(3, 4), (2, 5, 3)),
        (nn.Linear(3, 4, bias=False), (2, 3)),
        (modules.StackedLinear(torch.rand(2, 4, 3)), (2, 3)),
        (modules.StackedLinear(torch.rand(2, 5, 4, 3), torch.rand(4)), (2, 5, 3)),
        (modules.StackedLinear(torch.rand(2, 4, 3), torch.rand(2, 4)), (2, 3)),
    ],
)
def test_linear_layers_come_back_equal(module, shape):
    x = torch.rand(3, *shape)
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(module, x))
    torch.testing.assert_close(back(x)[0], module(x), rtol=0, atol=1e-6)
    stacked = isinstance(module, modules.StackedLinear)
    assert type(back.get_submodule("_0")) is (modules.StackedLinear if stacked else layer.Linear)


def test_linear_without_bias_is_its_own_kind(node_of):
    assert isinstance(node_of(nn.Linear(2, 3, bias=False), 2), nir.Linear)
    assert isinstance(node_of(nn.Linear(2, 3), 2), nir.Affine)


def test_bfloat16_weights_are_written_as_float32():
    module = nn.Linear(2, 3, dtype=torch.bfloat16)
    node = sj_nir.export_to_nir(module, torch.rand(1, 2, dtype=torch.bfloat16)).nodes["_0"]
    assert node.weight.dtype == np.float32
    np.testing.assert_array_equal(node.weight, module.weight.detach().float().numpy())


def test_huge_copies_are_refused(node_of, monkeypatch):
    monkeypatch.setattr("sj_nir.ops.linear._MOST_WEIGHTS", 20)
    assert isinstance(node_of(nn.Linear(3, 4), 3), nir.Affine)
    with pytest.raises(sj_nir.NotSupportedError, match="a copy of its 12 weights at each place"):
        node_of(nn.Linear(3, 4), 2, 3)


@pytest.mark.parametrize(
    ("node", "shape", "message"),
    [
        (nir.Affine(np.ones((2, 3)), np.ones(3)), (3,), r"'bias': expected shape \(2,\)"),
        (nir.Affine(np.ones((5, 2, 3)), np.ones((2, 2))), (5, 3), r"'bias': expected shape \(2,\)"),
        (nir.Linear(np.ones((2, 3))), (4,), r"'weight': has 3 columns and takes shape \(3,\)"),
        (nir.Linear(np.ones((5, 2, 3))), (3,), r"takes shape \(5, 3\), but gets \(3,\)"),
        (nir.Linear(np.full((2, 3), np.inf)), (3,), "'weight': 6 of 6 values are NaN or infinite"),
    ],
)
def test_misfits_name_the_field(module_of, node, shape, message):
    with pytest.raises(sj_nir.NIRGraphError, match=f"node 'n', field .*{message}"):
        module_of(node, *shape)


def test_a_weight_needs_two_axes(module_of):
    node = nir.Linear(np.ones((2, 3)))
    node.weight = np.ones(3)
    with pytest.raises(sj_nir.NIRGraphError, match=r"expected \[out, in\], got shape \(3,\)"):
        module_of(node, 3)


@pytest.mark.parametrize("field", ["weight", "bias"])
@pytest.mark.parametrize("make", [nn.Linear, lambda i, o: nn.Conv2d(i, o, 1)])
def test_values_that_are_not_finite_are_refused(node_of, make, field):
    module = make(2, 3)
    getattr(module, field).data[0] = torch.nan
    shape = (2,) if isinstance(module, nn.Linear) else (2, 4, 4)
    with pytest.raises(sj_nir.NotSupportedError, match=rf"{field}: \d of \d values are NaN"):
        node_of(module, *shape)
