from __future__ import annotations

import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import sj_layers as layer
import sj_nir
from sj_neurons import functional
from sj_neurons.neuron import IFNode, LIFNode

neurons = st.one_of(
    st.builds(
        IFNode,
        v_threshold=st.floats(0.1, 2.0),
        v_reset=st.sampled_from([0.0, -0.3, None]),
    ),
    st.builds(
        LIFNode,
        tau=st.floats(1.01, 50.0),
        decay_input=st.booleans(),
        v_threshold=st.floats(0.1, 1.0),
        v_reset=st.sampled_from([0.0, -0.3, None]),
    ),
)


class Block(nn.Module):
    """A sum of up to three branches, one of them the input itself."""

    def __init__(self, branches: list[nn.Module], neuron: nn.Module) -> None:
        super().__init__()
        self.branches, self.neuron = nn.ModuleList(branches), neuron

    def forward(self, x: Tensor) -> Tensor:
        total = x
        for branch in self.branches:
            total = branch(x) + total
        return self.neuron(total)


@st.composite
def networks(draw) -> nn.Module:
    torch.manual_seed(draw(st.integers(0, 2**31)))
    channels = draw(st.sampled_from([2, 4]))
    kernel = draw(st.sampled_from([1, 3, (1, 3), (3, 5)]))
    parts: list[nn.Module] = [
        layer.Conv2d(
            2,
            channels,
            kernel,
            padding="same",
            bias=draw(st.booleans()),
            groups=draw(st.sampled_from([1, 2])),
        ),
        draw(neurons),
    ]
    for _ in range(draw(st.integers(0, 2))):
        convolutions = [
            layer.Conv2d(channels, channels, 3, padding=1) for _ in range(draw(st.integers(0, 2)))
        ]
        parts.append(Block(convolutions, draw(neurons)))
    if draw(st.booleans()):
        parts.append(layer.AvgPool2d(2, padding=draw(st.sampled_from([0, 1, (1, 0)]))))
    parts.append(layer.Flatten(start_dim=draw(st.sampled_from([1, -3]))))
    if draw(st.booleans()):
        features = nn.Sequential(*parts)(torch.zeros(1, 2, 6, 6)).shape[1]
        parts += [layer.Linear(features, 5, bias=draw(st.booleans())), draw(neurons)]
    net = nn.Sequential(*parts)
    functional.reset_net(net)
    return net


def equal_graphs(a, b) -> bool:
    return (
        a.nodes.keys() == b.nodes.keys()
        and a.edges == b.edges
        and all(_equal_nodes(a.nodes[name], b.nodes[name]) for name in a.nodes)
    )


def _equal_nodes(a, b) -> bool:
    return type(a) is type(b) and all(
        np.array_equal(getattr(a, field.name), getattr(b, field.name))
        for field in dataclasses.fields(a)
        if field.name not in ("input_type", "output_type", "metadata")
    )


@settings(max_examples=settings().max_examples // 4)
@given(net=networks(), step_mode=st.sampled_from(["s", "m"]), dt=st.sampled_from([1e-4, 7e-3]))
def test_spikes_and_graph_survive_the_file(net, step_mode, dt):
    x_seq = 3 * torch.rand(4, 2, 2, 6, 6)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "net.nir"
        graph = sj_nir.export_to_nir(net, x_seq[0], path, dt)
        back = sj_nir.import_from_nir(path, dt, step_mode=step_mode)
    with torch.no_grad():
        expected = torch.stack([net(x) for x in x_seq])
        out = back(x_seq)[0] if step_mode == "m" else torch.stack([back(x)[0] for x in x_seq])
    torch.testing.assert_close(out, expected, rtol=0, atol=0)
    example = x_seq if step_mode == "m" else x_seq[0]
    assert equal_graphs(sj_nir.export_to_nir(back, example, dt=dt), graph)
