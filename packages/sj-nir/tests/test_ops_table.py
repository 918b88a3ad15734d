from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sj_nir
from sj_neurons.neuron import CUBALIFNode, IFNode
from sj_neurons.surrogate import Sigmoid
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


def started(neuron: IFNode, memory: str, value: object) -> IFNode:
    neuron.set_reset_value(memory, value)
    return neuron


@pytest.mark.parametrize(
    ("module", "shape", "loss"),
    [
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), (1, 5, 5), "padding_mode"),
        (nn.AvgPool2d(3, padding=1, count_include_pad=False), (1, 5, 5), "count_include_pad"),
        (nn.AvgPool1d(3, padding=1, count_include_pad=False), (1, 5), "count_include_pad"),
        (IFNode(surrogate_function=Sigmoid(spiking=False)), (3,), "spiking=False"),
        (started(IFNode(), "v", torch.zeros(2, 3)), (3,), "start potential"),
        (started(CUBALIFNode(), "c", 0.5), (3,), "current c starts"),
    ],
)
def test_what_is_lost_is_refused_or_told_and_recorded(module, shape, loss):
    x = torch.rand(2, *shape)
    with pytest.raises(sj_nir.NotSupportedError, match=loss):
        sj_nir.export_to_nir(module, x)
    with pytest.warns(UserWarning, match=rf"differs from the network: 0 \(\w+\): .*{loss}"):
        graph = sj_nir.export_to_nir(module, x, strict=False)
    assert loss in graph.nodes["_0"].metadata["sj_nir"]["lost"]
    assert sj_nir.import_from_nir(graph)(x)[0].shape == module(x).shape


def test_a_row_with_nodes_can_import_them():
    with pytest.raises(TypeError, match="needs to_module and output_shape"):
        sj_nir.register_op(sj_nir.Op(nodes=(nir.Scale,), modules=(), to_node=lambda m, s: None))
    row = sj_nir.Op(nodes=(), modules=(Gain,), to_node=lambda module, site: None)
    with pytest.raises(TypeError, match="nothing to import"):
        row.to_module(None, "n", None)


def test_rows_are_all_of_the_table_once():
    found = table.rows()
    assert len(set(map(id, found))) == len(found)
    assert {kind for row in found for kind in row.nodes} >= {nir.LIF, nir.Conv2d, nir.Delay}
    assert any(nn.AvgPool1d in row.modules for row in found)
