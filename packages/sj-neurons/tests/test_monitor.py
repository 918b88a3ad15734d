"""What monitors record, under which name, and what they leave behind."""

import gc
import weakref
from collections import namedtuple

import pytest
import torch
from torch import Tensor, nn

import sj_neurons
from sj_neurons import functional, monitor, neuron

T, N, C = 4, 2, 3


@pytest.fixture
def x() -> Tensor:
    return 2 * torch.rand(T, N, C, generator=torch.Generator().manual_seed(0))


def make_net(step_mode: str = "m") -> nn.Sequential:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(C, C), neuron.LIFNode(store_v_seq=step_mode == "m"))
    net = nn.Sequential(nn.Linear(C, C), neuron.IFNode(), block)
    functional.set_step_mode(net, step_mode)
    return net


class Pair(nn.Module):
    """Two inputs and two outputs, of which a loss may use any."""

    kind = staticmethod(lambda a, b: (a, b))

    def forward(self, a: Tensor, b: Tensor) -> object:
        return self.kind(2 * a, 3 * b)


# names and order


def test_outputs_are_found_by_number_and_by_layer(x):
    net = make_net()
    spikes = monitor.OutputMonitor(net, (neuron.IFNode, neuron.LIFNode))
    out = net(x)
    assert spikes.monitored_layers == ["1", "2.1"]
    assert spikes.name_records_index == {"1": [0], "2.1": [1]}
    assert torch.equal(spikes[1], out) and torch.equal(spikes["2.1"][0], out)
    assert spikes[-1] is spikes.records[1]
    net(x)
    assert spikes.name_records_index == {"1": [0, 2], "2.1": [1, 3]}


def test_single_steps_make_one_record_each(x):
    net = make_net("s")
    with monitor.OutputMonitor(net, neuron.IFNode) as spikes:
        for x_t in x:
            net(x_t)
    assert torch.stack(spikes["1"]).shape == (T, N, C)


def test_without_a_type_layers_of_the_type_of_the_net_are_monitored(x):
    net = make_net()
    outputs = monitor.OutputMonitor(net)
    assert outputs.monitored_layers == ["", "2"]
    assert torch.equal(net(x), outputs[""][0])


def test_inputs_of_one_argument_are_unpacked_and_several_stay_a_tuple(x):
    net = make_net()
    inputs = monitor.InputMonitor(net, nn.Linear)
    net(x)
    assert torch.equal(inputs["0"][0], x)
    pair = Pair()
    pairs = monitor.InputMonitor(pair)
    pair(x[0], x[1])
    assert isinstance(pairs[0], tuple) and torch.equal(pairs[0][1], x[1])


def test_the_function_decides_what_is_kept(x):
    net = make_net()
    rates = monitor.OutputMonitor(net, neuron.IFNode, lambda s: s.mean().item())
    net(x)
    assert isinstance(rates[0], float)


def test_attributes_are_read_before_or_after_the_call(x):
    net = make_net("s")
    before = monitor.AttributeMonitor("v", True, net, neuron.IFNode)
    after = monitor.AttributeMonitor("v", False, net, neuron.IFNode)
    net(x[0])
    net(x[1])
    assert before[0] == 0.0
    assert torch.equal(before[1], after[0])
    assert torch.equal(after[1], net[1].v)


def test_v_is_the_last_potential_of_a_sequence_and_v_seq_all_of_them(x):
    net = make_net()
    last = monitor.AttributeMonitor("v", False, net, neuron.LIFNode)
    everything = monitor.AttributeMonitor("v_seq", False, net, neuron.LIFNode)
    net(x)
    assert last[0].shape == (N, C) and everything[0].shape == (T, N, C)
    assert torch.equal(everything[0][-1], last[0])


def test_a_missing_voltage_sequence_is_an_error(x):
    net = make_net()
    monitor.AttributeMonitor("v_seq", False, net, neuron.IFNode)
    with pytest.raises(ValueError, match=r"layer '1' keeps no v_seq.*store_v_seq=True"):
        net(x)


# gradients


def test_gradients_of_outputs_and_inputs_have_their_closed_form(x):
    net = nn.Sequential(nn.Linear(C, 2, bias=False), nn.Linear(2, 1, bias=False))
    of_inputs = monitor.GradInputMonitor(net, nn.Linear)
    of_outputs = monitor.GradOutputMonitor(net, nn.Linear)
    net(x[0]).sum().backward()
    assert of_outputs["1"][0].tolist() == [[1.0]] * N
    torch.testing.assert_close(of_outputs["0"][0], net[1].weight.detach().expand(N, 2))
    torch.testing.assert_close(of_inputs["1"][0], of_outputs["0"][0])
    assert of_inputs["0"] == []  # the input of the net needs no gradient
    assert of_outputs.name_records_index == {"0": [1], "1": [0]}  # backwards


def test_gradients_of_single_steps_come_last_step_first(x):
    node = neuron.IFNode(v_threshold=100.0)
    scale = nn.Sequential(nn.Linear(C, C), node)
    of_inputs = monitor.GradInputMonitor(scale, neuron.IFNode)
    for x_t in x:
        scale(x_t)
    (node.v * torch.arange(1.0, C + 1)).sum().backward()
    # the loss reaches the early inputs through the state alone
    assert len(of_inputs["1"]) == T
    assert of_inputs[0].tolist() == [[1.0, 2.0, 3.0]] * N


def test_the_gradient_of_an_input_is_that_of_this_layer_alone(x):
    a = x[0].requires_grad_(True)
    for layer in (nn.Identity(), nn.ReLU()):
        of_inputs = monitor.GradInputMonitor(layer)
        of_outputs = monitor.GradOutputMonitor(layer)
        (layer(a) + 5 * a).sum().backward()
        assert of_inputs[0].unique().tolist() == [1.0]
        assert of_outputs[0].unique().tolist() == [1.0]


@pytest.mark.parametrize(
    "kind", [lambda a, b: (a, b), lambda a, b: [a, b], namedtuple("Two", "a b")]
)
def test_several_inputs_and_outputs_give_tuples(kind, x):
    net = Pair()
    net.kind = kind
    of_inputs, of_outputs = monitor.GradInputMonitor(net), monitor.GradOutputMonitor(net)
    a, b = x[0].requires_grad_(True), x[1]
    out = net(a, b)
    assert type(out) is type(kind(a, b))
    out[0].sum().backward()
    (first, second), (grad_a, grad_b) = of_outputs[0], of_inputs[0]
    assert first.unique().tolist() == [1.0] and second is None
    assert grad_a.unique().tolist() == [2.0] and grad_b is None
    assert a.grad is not None and a.grad.unique().tolist() == [2.0]


def test_layers_without_gradients_make_no_records(x):
    net = Pair()
    of_inputs, of_outputs = monitor.GradInputMonitor(net), monitor.GradOutputMonitor(net)
    net(x[0], x[1])
    single = nn.ReLU()
    of_single = monitor.GradInputMonitor(single), monitor.GradOutputMonitor(single)
    single(x[0])
    assert [m.records for m in (of_inputs, of_outputs, *of_single)] == [[]] * 4


def test_monitors_change_neither_outputs_nor_gradients(x):
    plain, watched = make_net(), make_net()
    for kind in (monitor.GradInputMonitor, monitor.GradOutputMonitor, monitor.OutputMonitor):
        kind(watched, (nn.Linear, neuron.IFNode, neuron.LIFNode))
    out, expected = watched(x), plain(x)
    assert torch.equal(out, expected)
    out.sum().backward()
    expected.sum().backward()
    for p, q in zip(watched.parameters(), plain.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad)


# memory


class Saved:
    """A tensor that a graph keeps for its backward pass."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


@pytest.mark.parametrize("detach", [True, False])
def test_records_hold_the_graph_only_if_asked(detach, x):
    net = make_net()
    kept = weakref.WeakSet()

    def pack(tensor: Tensor) -> Saved:
        saved = Saved(tensor)
        kept.add(saved)
        return saved

    spikes = monitor.OutputMonitor(net, neuron.LIFNode, detach=detach)
    potentials = monitor.AttributeMonitor("v_seq", False, net, neuron.LIFNode, detach=detach)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
        net(x)
    assert len(kept) > 0
    functional.reset_net(net)
    gc.collect()
    assert (len(kept) == 0) == detach
    assert spikes[0].requires_grad == potentials[0].requires_grad == (not detach)


def test_a_loss_can_be_built_on_records_that_keep_their_graph(x):
    net = make_net()
    rates = monitor.OutputMonitor(net, neuron.IFNode, torch.mean, detach=False)
    net(x)
    rates[0].backward()
    assert net[0].weight.grad is not None


def test_tuples_lists_and_dicts_are_detached_inside(x):
    class Nested(nn.Module):
        def forward(self, a):
            return {"a": [a * 2, (a * 3, "text")]}

    net = Nested()
    outputs = monitor.OutputMonitor(net)
    net(x.requires_grad_(True))
    twice, (thrice, text) = outputs[0]["a"]
    assert not twice.requires_grad and not thrice.requires_grad and text == "text"


# switching


def test_disabled_monitors_record_nothing_until_enabled(x):
    net = make_net()
    spikes = monitor.OutputMonitor(net, neuron.IFNode)
    assert spikes.is_enable()
    spikes.disable()
    net(x)
    assert not spikes.is_enable() and spikes.records == []
    spikes.enable()
    net(x)
    assert len(spikes.records) == 1


def test_clearing_forgets_records_but_not_layers(x):
    net = make_net()
    spikes = monitor.OutputMonitor(net, neuron.IFNode)
    net(x)
    spikes.clear_recorded_data()
    assert spikes.records == [] and spikes["1"] == []
    net(x)
    assert spikes.name_records_index == {"1": [0]}


@pytest.mark.parametrize(
    "kind",
    [
        monitor.InputMonitor,
        monitor.OutputMonitor,
        monitor.GradInputMonitor,
        monitor.GradOutputMonitor,
        lambda net, kinds: monitor.AttributeMonitor("v", True, net, kinds),
        lambda net, kinds: monitor.AttributeMonitor("v", False, net, kinds),
    ],
)
def test_the_net_is_as_before_after_the_context(kind, x):
    net = make_net()
    with kind(net, neuron.IFNode) as records:
        net(x).sum().backward()
    assert len(records.records) == 1
    functional.reset_net(net)
    net(x).sum().backward()
    assert len(records.records) == 1
    for module in net.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks


def test_what_cannot_be_monitored_is_named(x):
    net = make_net()
    with pytest.raises(ValueError, match=r"no layer of type .*Conv2d"):
        monitor.OutputMonitor(net, nn.Conv2d)
    with pytest.raises(TypeError, match="instance must be a type, got 'IFNode'"):
        monitor.OutputMonitor(net, "IFNode")  # pyright: ignore
    spikes = monitor.OutputMonitor(net, neuron.IFNode)
    with pytest.raises(KeyError, match=r"'sn' is not monitored; monitored layers: '1'"):
        spikes["sn"]
    with pytest.raises(IndexError):
        spikes[0]


def test_the_base_leaves_the_hook_to_its_subclasses():
    with pytest.raises(NotImplementedError, match="BaseMonitor does not define attach"):
        monitor.BaseMonitor(nn.ReLU(), None, lambda v: v, True)


def test_monitors_are_reached_from_the_package():
    assert sj_neurons.monitor is monitor
