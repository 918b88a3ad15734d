from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sj_nir
from sj_nir.ops import table


class Gain(nn.Module):
    def __init__(self, gain: Tensor) -> None:
        super().__init__()
        self.gain = nn.Parameter(gain)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain


@pytest.fixture
def gain_op(monkeypatch):
    monkeypatch.setattr(table, "_BY_NODE", dict(table._BY_NODE))
    monkeypatch.setattr(table, "_BY_MODULE", dict(table._BY_MODULE))
    sj_nir.register_op(
        sj_nir.Op(
            nodes=(nir.Scale,),
            modules=(Gain,),
            to_node=lambda module, site: nir.Scale(module.gain.detach().numpy().copy()),
            to_module=lambda node, name, options: Gain(torch.tensor(node.scale)),
            output_shape=lambda node, name, shape: shape,
        )
    )


def test_a_new_row_works_in_both_directions(gain_op):
    net, x = nn.Sequential(Gain(torch.tensor([2.0, 3.0]))), torch.rand(4, 2)
    graph = sj_nir.export_to_nir(net, x)
    np.testing.assert_array_equal(graph.nodes["_0"].scale, [2.0, 3.0])
    assert torch.equal(sj_nir.import_from_nir(graph)(x)[0], net(x))
