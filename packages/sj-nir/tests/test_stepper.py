from __future__ import annotations

import pytest
import torch
from torch import nn

import sj_layers as layer
from sj_neurons.neuron import PSN, CUBALIFNode, IFNode, LIFNode
from sj_nir.modules import LI
from sj_nir.stepper import NodeStepper, sequence_call, stepper

NODES = [IFNode(), LIFNode(2.5, v_reset=None), CUBALIFNode(), LI(torch.full((4,), 3.0))]


@pytest.mark.parametrize("node", NODES, ids=lambda node: type(node).__name__)
def test_steps_equal_calls_of_the_module(node):
    x_seq = torch.randn(5, 2, 4) * 2
    with torch.no_grad():
        node.reset()
        expected = torch.stack([node(x) for x in x_seq])
        memories = [value.clone() for value in node.memories()]
        node.reset()
        run = stepper(node, 5)
        assert isinstance(run, NodeStepper)
        assert torch.equal(torch.stack([run(x) for x in x_seq]), expected)
        run.finish()
    assert all(torch.equal(a, b) for a, b in zip(node.memories(), memories, strict=True))
    node.reset()


def test_a_stepper_that_never_ran_leaves_the_states():
    node = IFNode()
    run = stepper(node, 5)
    assert isinstance(run, NodeStepper)
    run.finish()
    assert node.v == 0.0


@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_what_cannot_be_prepared_is_called(backend):
    node, x_seq = IFNode(backend=backend), torch.ones(3, 2, 4, dtype=torch.int64)
    with torch.no_grad():
        run = stepper(node, 3)
        assert [run(x).tolist() for x in x_seq] == x_seq.tolist()
    assert isinstance(run, NodeStepper)
    run.finish()
    assert node.v.tolist() == [[0.0] * 4] * 2


class Doubled(IFNode):
    def single_step_forward(self, x):
        return 2 * super().single_step_forward(x)


class Hooked(IFNode):
    def neuronal_charge(self, x):
        self.v = self.v + 2 * x


@pytest.mark.parametrize("module", [Doubled(), Hooked(), PSN(4), nn.Conv1d(1, 1, 1)])
def test_what_is_not_just_a_step_is_called(module):
    assert stepper(module, 5) is module


@pytest.mark.parametrize("made", [nn.Linear, layer.Linear])
def test_linear_layers_are_functions(made):
    module, x = made(3, 2), torch.rand(4, 3)
    assert torch.equal(stepper(module, 5)(x), module(x))


def watched_surrogate() -> nn.Module:
    node = IFNode(step_mode="m")
    node.surrogate_function.register_forward_hook(lambda *_: None)
    return node


def watched_linear() -> nn.Module:
    module = nn.Linear(3, 2)
    module.register_forward_hook(lambda *_: None)
    return module


@pytest.mark.parametrize("make", [watched_linear, watched_surrogate])
def test_hooks_are_kept(make):
    module = make()
    assert stepper(module, 5) is module
    assert sequence_call(module) is module


def test_global_hooks_are_kept():
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    module = nn.Linear(3, 2)
    try:
        assert stepper(module, 5) is module
    finally:
        handle.remove()
    assert stepper(module, 5) is not module


@pytest.mark.parametrize("node", NODES, ids=lambda node: type(node).__name__)
def test_sequences_equal_calls_of_the_module(node):
    node.reset()
    node.step_mode = "m"
    x_seq = torch.randn(5, 2, 4) * 2
    call = sequence_call(node)
    assert call is not node
    with torch.no_grad():
        expected = torch.cat([node(x_seq), node(x_seq[:2])])
        memories = [value.clone() for value in node.memories()]
        node.reset()
        assert torch.equal(torch.cat([call(x_seq), call(x_seq[:2])]), expected)
    assert all(torch.equal(a, b) for a, b in zip(node.memories(), memories, strict=True))
    node.reset()
    node.step_mode = "s"


@pytest.mark.parametrize(
    "module",
    [
        IFNode(step_mode="s"),
        IFNode(step_mode="m", backend="auto"),
        IFNode(step_mode="m", store_v_seq=True),
        PSN(4),
        nn.Linear(3, 2),
    ],
)
def test_other_modules_are_called(module):
    assert sequence_call(module) is module


def test_sequences_that_cannot_be_prepared():
    node = IFNode(step_mode="m")
    with torch.no_grad():
        assert (
            sequence_call(node)(torch.ones(5, 1, dtype=torch.int64)).flatten().tolist() == [1] * 5
        )
        node.reset()
        with pytest.raises(ValueError, match="expected a sequence"):
            sequence_call(node)(torch.ones(0, 1))
