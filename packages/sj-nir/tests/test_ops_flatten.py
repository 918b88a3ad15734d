from __future__ import annotations

import pytest
import torch
from torch import nn

import sj_layers as layer
import sj_nir
from sj_nir.ops.flatten import merged_axes


@pytest.mark.parametrize(
    ("module", "shape"),
    [(nn.Flatten(), (2, 3, 4)), (layer.Flatten(1, 2), (2, 3, 4)), (nn.Flatten(-2), (2, 3, 4))],
)
def test_flattening_comes_back_equal(module, shape):
    x = torch.rand(3, *shape)
    back = sj_nir.import_from_nir(sj_nir.export_to_nir(module, x))
    assert torch.equal(back(x)[0], module(x))


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (nn.Flatten(0), (3, 4), "changes the batch axis"),
        (nn.Flatten(0), (1,), "start_dim=0, end_dim=-1 reach outside"),
        (nn.Flatten(-2), (1,), "start_dim=-2, end_dim=-1 reach outside"),
    ],
)
def test_the_batch_axis_stays(module, shape, message):
    with pytest.raises(sj_nir.NotSupportedError, match=message):
        sj_nir.export_to_nir(module, torch.rand(1, *shape))


@pytest.mark.parametrize(
    ("before", "after", "dims"),
    [
        ((2, 3, 4), (24,), (0, -1)),
        ((2, 3, 4), (2, 12), (1, -1)),
        ((2, 3, 4), (6, 4), (0, 1)),
        ((2, 3, 4), (4, 6), None),
        ((2, 3), (2, 3), None),
    ],
)
def test_merged_axes(before, after, dims):
    assert merged_axes(before, after) == dims
