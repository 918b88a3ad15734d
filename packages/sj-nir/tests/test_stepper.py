from __future__ import annotations

import pytest
import torch
from torch import nn

import sj_layers as layer
from sj_neurons.neuron import PSN, CUBALIFNode, IFNode, LIFNode
from sj_nir.modules import LI
from sj_nir.stepper import NodeStepper, stepper

NODES = [IFNode(), LIFNode(2.5, v_reset=None), CUBALIFNode(), LI(torch.full((4,), 3.0))]


@pytest.mark.parametrize("node", NODES, ids=lambda node: type(node).__name__)
def test_steps_equal_calls_of_the_module(node):
    x_seq = torch.randn(5, 2, 4) * 2
    with torch.no_grad():
        node.reset()
        expected = torch.stack([node(x) for x in x_seq])
        memories = [value.clone() for value in node.memories()]
        node.reset()
        run = stepper(node)
        assert isinstance(run, NodeStepper)
        assert torch.equal(torch.stack([run(x) for x in x_seq]), expected)
        run.finish()
    assert all(torch.equal(a, b) for a, b in zip(node.memories(), memories, strict=True))
    node.reset()


def test_a_stepper_that_never_ran_leaves_the_states():
    node = IFNode()
    run = stepper(node)
    assert isinstance(run, NodeStepper)
    run.finish()
    assert node.v == 0.0


def test_many_neurons_go_to_the_fused_kernel():
    node = IFNode(backend="auto")
    run = stepper(node)
    calls = []
    node.single_step_forward = lambda x: calls.append(x.shape) or x  # pyright: ignore
    run(torch.zeros(1, 1 << 13))
    assert calls == [(1, 1 << 13)]


class Doubled(IFNode):
    def single_step_forward(self, x):
        return 2 * super().single_step_forward(x)


class Hooked(IFNode):
    def neuronal_charge(self, x):
        self.v = self.v + 2 * x


@pytest.mark.parametrize("module", [Doubled(), Hooked(), PSN(4), nn.Conv1d(1, 1, 1)])
def test_what_is_not_just_a_step_is_called(module):
    assert stepper(module) is module


@pytest.mark.parametrize("made", [nn.Linear, layer.Linear])
def test_linear_layers_are_functions(made):
    module, x = made(3, 2), torch.rand(4, 3)
    assert torch.equal(stepper(module)(x), module(x))


def test_hooks_are_kept():
    module = nn.Linear(3, 2)
    module.register_forward_hook(lambda *_: None)
    assert stepper(module) is module
