"""Feedback from the output to the input one step later."""

import copy
import operator
import re

import pytest
import torch
from torch import nn

from sj_layers.recurrent import ElementWiseRecurrentContainer, LinearRecurrentContainer
from sj_neurons import functional, neuron, surrogate

T, N = 5, 2
PRINTED = """ElementWiseRecurrentContainer(
  element-wise function=<function
  test_one_input_keeps_a_neuron_firing.<locals>.element_wise_add at 0x0>, step_mode=s
  (sub_module): IFNode(
    v_threshold=1.0, v_reset=0.0, detach_reset=False, step_mode=s, backend=torch
    (surrogate_function): Sigmoid(alpha=4.0, spiking=True)
  )
)"""


@pytest.fixture
def x():
    return 1.5 * torch.rand(T, N, 3, generator=torch.Generator().manual_seed(0))


def element_wise(mode="s", sub_module=None):
    return ElementWiseRecurrentContainer(sub_module or neuron.LIFNode(), operator.add, mode)


def linear(mode="s", sub_module=None):
    torch.manual_seed(1)
    net = LinearRecurrentContainer(sub_module or neuron.LIFNode(), 3, 3, step_mode=mode)
    nn.init.uniform_(net.rc.weight)
    return net


BOTH = pytest.mark.parametrize("make", [element_wise, linear])


def test_one_input_keeps_a_neuron_firing():
    def element_wise_add(x, y):
        return x + y

    net = ElementWiseRecurrentContainer(neuron.IFNode(), element_wise_add)
    shown = re.sub(r"0x[0-9a-f]+", "0x0", repr(net))
    assert "".join(shown.split()) == "".join(PRINTED.split())
    x = torch.zeros(8, 1)
    x[0] = 1.5
    assert [net(x_t).item() for x_t in x] == [1.0] * 8
    functional.reset_net(net)
    assert net.y is None
    assert net(torch.zeros(1)).item() == 0.0


def test_the_last_output_comes_first():
    seen = []

    def join(y, x):
        seen.append((y.item(), x.item()))
        return x

    net = ElementWiseRecurrentContainer(nn.Identity(), join, step_mode="m")
    net(torch.tensor([[1.0], [2.0], [3.0]]))
    assert seen == [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]


def test_feedback_through_a_linear_layer(x):
    net = linear(sub_module=nn.Tanh())
    y, (w_x, w_y) = torch.zeros(N, 3), net.rc.weight.split(3, dim=1)
    for x_t in x:
        y = torch.tanh(x_t @ w_x.t() + y @ w_y.t() + net.rc.bias)
        torch.testing.assert_close(net(x_t), y)


def test_the_output_may_have_another_size(x):
    sub_module = nn.Sequential(nn.Linear(3, 7), neuron.IFNode())
    net = LinearRecurrentContainer(sub_module, 3, 7, bias=False, step_mode="m")
    assert net.rc.weight.shape == (3, 10)
    assert net.rc.bias is None
    assert net(x).shape == (T, N, 7)
    functional.reset_net(net)
    assert net(x.unsqueeze(2).expand(T, N, 4, 3)).shape == (T, N, 4, 7)


@BOTH
def test_many_steps_equal_repeated_single_steps(make, x):
    single, multi, pieces = make("s"), make("m"), make("m")
    expected = torch.stack([single(x_t) for x_t in x])
    assert torch.equal(multi(x), expected)
    assert torch.equal(torch.cat([pieces(x[:2]), pieces(x[2:])]), expected)
    for net in (multi, pieces):
        assert torch.equal(net.y, single.y)
        assert torch.equal(net.sub_module.v, single.sub_module.v)


@BOTH
def test_gradients_flow_back_in_time(make, x):
    def run(x_seq):
        functional.reset_net(net)
        return net(x_seq)

    net = make("m", nn.Tanh()).double()
    leaf = x.double().requires_grad_()
    assert torch.autograd.gradcheck(run, leaf)
    (gradient,) = torch.autograd.grad(run(leaf)[-1].sum(), leaf)
    assert (gradient[0] != 0).all()


@BOTH
def test_spiking_nets_pass_surrogate_gradients(make, x):
    net, leaf = make("m", neuron.IFNode(surrogate_function=surrogate.ATan())), x.requires_grad_()
    net(leaf).sum().backward()
    assert (leaf.grad[0] != 0).any()
    assert all(p.grad is not None for p in net.parameters())


@BOTH
def test_detach_cuts_the_past(make, x):
    net = make("m")
    net(x.requires_grad_())
    functional.detach_net(net)
    assert not net.y.requires_grad
    twin = copy.deepcopy(net)
    assert torch.equal(twin(x), net(x))


@BOTH
def test_set_step_mode_leaves_the_sub_module_alone(make):
    net = make()
    functional.set_step_mode(net, "m")
    assert net.step_mode == "m"
    assert net.sub_module.step_mode == "s"


@BOTH
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_outputs_follow_the_type_of_the_input(make, x, dtype):
    net = make("m").to(dtype)
    assert net(x.to(dtype)).dtype == net.y.dtype == dtype


@BOTH
def test_the_last_output_follows_the_type_of_the_net(make, x):
    net = make("m")
    net(x)
    net.double()
    assert net(x.double()).dtype == torch.float64


@BOTH
@pytest.mark.parametrize("mode", ["s", "m"])
# raised inside torch's own tracer, for every autograd function, and for states with a graph
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_without_graph_break(make, x, mode):
    torch.compiler.reset()  # it counts the classes that share one forward
    net, reference = make(mode), make(mode)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    for value in [x] if mode == "m" else list(x[:3]):
        torch.testing.assert_close(compiled(value), reference(value))


def test_channels_last_images_stay_so():
    images = torch.rand(T * N, 3, 5, 5).to(memory_format=torch.channels_last)
    y = element_wise("m", nn.Tanh())(images.unflatten(0, (T, N)))
    assert y.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


@BOTH
def test_sub_modules_that_take_sequences_are_refused(make):
    with pytest.raises(ValueError, match="IFNode must be in step mode 's' inside this container"):
        make("s", nn.Sequential(neuron.IFNode(step_mode="m")))


@BOTH
def test_another_batch_without_reset_is_refused(make, x):
    net = make("m")
    net(x)
    with pytest.raises(ValueError, match=r"input \(1, 3\).*output \(2, 3\).*reset_net\(net\)"):
        net(x[:, :1])


@BOTH
def test_sequences_without_steps_are_refused(make, x):
    with pytest.raises(ValueError, match="T = 0"):
        make("m")(x[:0])


def test_repr_of_linear_feedback():
    shown = repr(linear("m"))
    assert shown.startswith(
        "LinearRecurrentContainer(\n  step_mode=m\n  (rc): Linear(in_features=6"
    )
