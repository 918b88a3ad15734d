"""The tutorial's example, with a smaller picture."""

from __future__ import annotations

import re

import torch
import torch.nn as nn

import sj_layers as layer
import sj_nir as nir_exchange
from sj_neurons import functional, neuron


def test_the_tutorial_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = nn.Sequential(
        layer.Conv2d(3, 16, 3, 1, 1, step_mode="s"),
        neuron.IFNode(),
        nn.AvgPool2d((2, 2)),
        layer.Flatten(step_mode="s"),
        nn.Linear(256, 10),
        neuron.ParametricLIFNode(10.0, decay_input=False, v_reset=None),
    )
    graph = nir_exchange.export_to_nir(
        net, example_input=torch.rand(8, 3, 8, 8), save_path="./example.h5", dt=1e-4
    )
    text = str(graph)
    assert re.findall(r"'(\w+)': (\w+)\(input_type", text) == [
        ("input_1", "Input"),
        ("_0", "Conv2d"),
        ("_1", "IF"),
        ("_2", "AvgPool2d"),
        ("_3", "Flatten"),
        ("_4", "Affine"),
        ("_5", "LIF"),
        ("output", "Output"),
    ]
    assert "kernel_size=(2, 2), stride=(2, 2), padding=0" in text
    assert "start_dim=0, end_dim=-1" in text

    gm = nir_exchange.import_from_nir(graph="./example.h5", dt=1e-4)
    printed = str(gm)
    assert printed.startswith("GraphModule(\n  (_0): Conv2d(3, 16, kernel_size=(3, 3)")
    for line in (
        "  (_1): IFNode(\n    v_threshold=1.0, v_reset=0.0, detach_reset=False, step_mode=s, "
        "backend=torch\n    (surrogate_function): Sigmoid(alpha=4.0, spiking=True)\n  )",
        "  (_3): Flatten(start_dim=1, end_dim=-1, step_mode=s)",
        "  (_4): Linear(in_features=256, out_features=10, bias=True)",
        "  (_5): LIFNode(\n    v_threshold=1.0, v_reset=None, ",
        "    _5 = self._5(_4);  _4 = None\n    return (_5, state)",
    ):
        assert line in printed
    x = torch.rand(9, 3, 8, 8)
    y = gm(x)
    assert y[0].shape == (9, 10)
    assert torch.equal(y[0], net(x))

    gm = nir_exchange.import_from_nir("./example.h5", dt=1e-4, step_mode="m")
    functional.reset_net(net)
    assert gm(torch.rand(7, 9, 3, 8, 8))[0].shape == (7, 9, 10)
