"""Containers that fold time or loop over it."""

import copy

import pytest
import torch
from torch import nn

import sj_layers as layer
from sj_layers.container import (
    MultiStepContainer,
    SeqToANNContainer,
    StepModeContainer,
    TLastMultiStepContainer,
    TLastSeqToANNContainer,
)
from sj_neurons import functional, neuron

T, N = 4, 3


@pytest.fixture
def x():
    return 2 * torch.rand(T, N, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def fc():
    torch.manual_seed(0)
    return nn.Linear(5, 4)


# folding


def test_plain_modules_see_time_folded_into_the_batch():
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
    x = torch.rand(2, 3, 1, 8, 8)
    expected = conv(x.flatten(0, 1))
    expected = nn.functional.batch_norm(expected, None, None, training=True)
    y = SeqToANNContainer(conv, norm)(x)
    torch.testing.assert_close(y, expected.unflatten(0, (2, 3)))


def test_time_may_be_last():
    torch.manual_seed(0)
    conv, x = nn.Conv2d(1, 4, 3), torch.rand(2, 3, 1, 8, 8)
    y = TLastSeqToANNContainer(conv)(x.movedim(0, -1))
    torch.testing.assert_close(y.movedim(-1, 0), SeqToANNContainer(conv)(x))


@pytest.mark.parametrize("cls", [SeqToANNContainer, TLastSeqToANNContainer])
def test_folding_refuses_children_with_state_or_an_own_time_axis(cls):
    name = cls.__name__
    with pytest.raises(ValueError, match=f"^{name}: IFNode keeps state"):
        cls(nn.Sequential(nn.Linear(1, 1), neuron.IFNode()))
    with pytest.raises(ValueError, match=f"^{name}: Conv2d must be in step mode 's'"):
        cls(layer.Conv2d(1, 1, 1, step_mode="m"))


# looping


def test_a_loop_calls_the_modules_step_by_step(fc, x):
    node = neuron.IFNode()
    expected = torch.stack([node(fc(x_t)) for x_t in x])
    container = MultiStepContainer(fc, neuron.IFNode())
    assert torch.equal(container(x), expected)
    assert torch.equal(container[1].v, node.v)
    last = TLastMultiStepContainer(fc, neuron.IFNode())(x.movedim(0, -1))
    assert torch.equal(last.movedim(-1, 0), expected)


def test_state_carries_over_calls(fc, x):
    whole, pieces = MultiStepContainer(fc, neuron.IFNode()), MultiStepContainer(fc, neuron.IFNode())
    expected = whole(x)
    assert torch.equal(torch.cat([pieces(x[:1]), pieces(x[1:])]), expected)
    functional.reset_net(whole)
    assert torch.equal(whole(x), expected)


@pytest.mark.parametrize("cls", [MultiStepContainer, TLastMultiStepContainer])
@pytest.mark.parametrize("child", [neuron.IFNode(step_mode="m"), neuron.PSN(2)])
def test_loops_refuse_children_that_take_sequences(cls, child):
    message = f"^{cls.__name__}: {type(child).__name__} must be in step mode 's' inside this"
    with pytest.raises(ValueError, match=message):
        cls(nn.Sequential(nn.Linear(1, 1), child))


def test_a_container_in_a_container_rules_its_own_children(fc, x):
    inner = StepModeContainer(True, "s", neuron.IFNode())
    assert MultiStepContainer(fc, inner)(x).shape == (T, N, 4)
    with pytest.raises(ValueError, match="MultiStepContainer must be in step mode 's'"):
        MultiStepContainer(MultiStepContainer(fc))


def test_sequences_without_steps_are_refused(fc, x):
    with pytest.raises(ValueError, match="T > 0"):
        MultiStepContainer(fc)(x[:0])


# a step mode for plain modules


def test_stateful_children_are_looped_over(fc, x):
    net = StepModeContainer(True, "s", fc, neuron.IFNode())
    expected = torch.stack([net(x_t) for x_t in x])
    functional.reset_net(net)
    net.step_mode = "m"
    assert torch.equal(net(x), expected)


def test_stateless_children_see_folded_time(fc, x):
    norm = nn.BatchNorm1d(4)
    net = StepModeContainer(False, "m", fc, norm)
    torch.testing.assert_close(net(x), SeqToANNContainer(fc, copy.deepcopy(norm))(x))
    assert norm.num_batches_tracked == 1  # the sequence was one batch
    net.eval().step_mode = "s"
    torch.testing.assert_close(net(x[0]), norm(fc(x[0])))


def test_the_step_mode_may_be_left_out(fc):
    net = StepModeContainer(False, fc, nn.ReLU())
    assert net.step_mode == "s"
    assert len(net) == 2
    assert repr(StepModeContainer(True, "m")) == "StepModeContainer(stateful=True, step_mode=m)"


def test_a_slice_keeps_the_mode(fc):
    net = StepModeContainer(False, "m", fc, nn.ReLU())
    part = net[:1]
    assert (part.stateful, part.step_mode, len(part), part[0]) == (False, "m", 1, fc)


def test_bad_arguments_are_refused(fc):
    with pytest.raises(TypeError, match="stateful must be True or False, got Linear"):
        StepModeContainer(fc)
    with pytest.raises(ValueError, match="step_mode can only be"):
        StepModeContainer(True, "x", fc)
    with pytest.raises(ValueError, match="StepModeContainer: Dropout keeps state"):
        StepModeContainer(False, "m", fc, layer.Dropout())
    with pytest.raises(ValueError, match="StepModeContainer: IFNode must be in step mode 's'"):
        StepModeContainer(True, "m", neuron.IFNode(step_mode="m"))


# all of them


@pytest.mark.parametrize(
    "container",
    [
        SeqToANNContainer(layer.Conv2d(1, 1, 1)),
        TLastSeqToANNContainer(layer.Conv2d(1, 1, 1)),
        MultiStepContainer(layer.Conv2d(1, 1, 1)),
        TLastMultiStepContainer(layer.Conv2d(1, 1, 1)),
        StepModeContainer(True, "s", layer.Conv2d(1, 1, 1)),
    ],
    ids=lambda container: type(container).__name__,
)
def test_set_step_mode_leaves_the_children_alone(container):
    functional.set_step_mode(nn.Sequential(container, neuron.IFNode()), "m")
    assert container.step_mode == "m"
    assert container[0].step_mode == "s"
    if not isinstance(container, StepModeContainer):
        with pytest.raises(ValueError, match="step_mode can only be"):
            functional.set_step_mode(container, "s")


@pytest.mark.parametrize("cls", [SeqToANNContainer, MultiStepContainer])
def test_gradients_and_types(cls, fc, x):
    net, leaf = cls(fc, nn.Tanh()).double(), x.double().requires_grad_()
    assert torch.autograd.gradcheck(net, leaf)
    assert net.to(torch.bfloat16)(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "net",
    [
        SeqToANNContainer(nn.Linear(5, 4)),
        MultiStepContainer(nn.Linear(5, 4), neuron.IFNode()),
        StepModeContainer(True, "m", nn.Linear(5, 4), neuron.IFNode()),
    ],
    ids=lambda net: type(net).__name__,
)
# raised inside torch's own tracer, for every autograd function
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_without_graph_break(net, x):
    torch.compiler.reset()  # it counts the classes that share one forward
    expected = net(x)
    functional.reset_net(net)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected)
