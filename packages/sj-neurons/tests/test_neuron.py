"""The frame of all neurons, and the equations of IF, LIF and PLIF; see test_laws for the laws."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sj_neurons import neuron, surrogate

T, N, C = 8, 2, 3
NEURONS = [neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode]
RESETS = pytest.mark.parametrize("v_reset", [0.0, -0.5, None], ids=["hard", "offset", "soft"])
EVERY_NEURON = pytest.mark.parametrize("cls", NEURONS)
LEAKY = pytest.mark.parametrize("cls", NEURONS[1:])


@pytest.fixture
def x() -> Tensor:
    return 2 * torch.rand(T, N, C, generator=torch.Generator().manual_seed(0))


# the machinery


@EVERY_NEURON
@RESETS
@pytest.mark.parametrize("training", [True, False])
def test_many_steps_equal_repeated_single_steps(cls, v_reset, training, x):
    single = cls(v_reset=v_reset).train(training)
    multi = cls(v_reset=v_reset, step_mode="m").train(training)
    spikes = torch.stack([single(x_t) for x_t in x])
    torch.testing.assert_close(multi(x), spikes, rtol=0, atol=0)
    torch.testing.assert_close(multi.v, single.v, rtol=0, atol=0)


@EVERY_NEURON
def test_state_carries_over_until_reset(cls, x):
    node = cls(step_mode="m")
    first = node(x)
    whole = cls(step_mode="m")(torch.cat([x, x]))
    assert torch.equal(node(x), whole[T:])
    node.reset()
    assert torch.equal(node(x), first)
    assert isinstance(cls(v_reset=-0.5).v, float)


@EVERY_NEURON
@RESETS
def test_voltage_sequence_holds_the_potential_after_each_reset(cls, v_reset, x):
    node = cls(v_reset=v_reset, step_mode="m", store_v_seq=True)
    assert node.v_seq is None
    node(x)
    single = cls(v_reset=v_reset)
    expected = []
    for x_t in x:
        single(x_t)
        expected.append(single.v)
    assert torch.equal(node.v_seq, torch.stack(expected))
    node.reset()
    assert node.v_seq is None


@EVERY_NEURON
@pytest.mark.parametrize("mode", ["s", "m"])
def test_new_shape_without_reset_is_refused(cls, mode, x):
    node = cls(step_mode=mode)
    node(x if mode == "m" else x[0])
    with pytest.raises(ValueError, match=r"input \(1, 3\).*state \(2, 3\).*reset\(\)"):
        node(x[:, :1] if mode == "m" else x[0, :1])


def test_inputs_without_the_axes_of_a_sequence_are_refused(x):
    with pytest.raises(ValueError, match="T > 0"):
        neuron.IFNode(step_mode="m")(x[:0])
    with pytest.raises(ValueError, match="single number"):
        neuron.IFNode()(torch.tensor(1.0))
    assert neuron.IFNode(step_mode="m")(x[:, :0]).shape == (T, 0, C)


@EVERY_NEURON
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtype_follows_the_input(cls, dtype, x):
    node = cls(step_mode="m")
    node(x)
    spikes = node.to(dtype)(x.to(dtype))
    assert spikes.dtype == node.v.dtype == dtype


@EVERY_NEURON
def test_integer_input_gives_float_spikes(cls):
    spikes = cls(step_mode="m")(torch.full((3, 2), 5))
    assert spikes.dtype == torch.get_default_dtype()
    assert spikes.sum() > 0


def test_two_neurons_never_share_a_surrogate():
    assert neuron.IFNode().surrogate_function is not neuron.IFNode().surrogate_function


@EVERY_NEURON
@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("training", [True, False])
# raised inside torch's own tracer, for every autograd function
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_as_one_graph(cls, mode, training, x):
    node = cls(step_mode=mode, surrogate_function=surrogate.ATan()).train(training)
    sequence = (x if mode == "m" else x[0]).requires_grad_(True)
    compiled = torch.compile(node, fullgraph=True, backend="aot_eager")
    (grad,) = torch.autograd.grad(compiled(sequence).sum(), sequence)
    v = node.v.detach()
    node.reset()
    (reference,) = torch.autograd.grad(node(sequence).sum(), sequence)
    torch.testing.assert_close(grad, reference, rtol=0, atol=0)
    torch.testing.assert_close(v, node.v.detach(), rtol=0, atol=0)


@EVERY_NEURON
@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_trains_and_evaluates_under_autocast(cls, mode, dtype, x):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(C, 5), cls(step_mode=mode))
    sequence = x if mode == "m" else x[0]
    with torch.autocast("cpu", dtype=dtype):
        spikes = net(sequence)
    assert spikes.dtype == net[1].v.dtype == dtype
    spikes.float().mean().backward()
    assert all(p.grad.isfinite().all() and p.grad.dtype == torch.float32 for p in net.parameters())
    net[1].reset()
    with torch.no_grad(), torch.autocast("cpu", dtype=dtype):
        assert torch.equal(net.eval()(sequence), spikes)


# the equations


@EVERY_NEURON
@RESETS
@pytest.mark.parametrize("detach_reset", [True, False])
def test_gradient_equals_an_independent_reference_in_float64(cls, v_reset, detach_reset, x):
    x = x.double().requires_grad_(True)
    weight = torch.rand(T, N, C, generator=torch.Generator().manual_seed(1)).double()
    node = cls(
        v_threshold=0.7,
        v_reset=v_reset,
        surrogate_function=surrogate.ATan(),
        detach_reset=detach_reset,
        step_mode="m",
        store_v_seq=True,
    ).double()
    loss = (node(x) * weight).sum() + (node.v_seq * weight.flip(0)).sum()
    inputs = (x, *node.parameters())
    ours = torch.autograd.grad(loss, inputs)

    # spike = smooth(u) + constant: the smooth primitive's gradient, the step's value
    rest = v_reset or 0.0
    k = torch.sigmoid(node.w) if hasattr(node, "w") else 0.5
    v: Tensor | float = rest if v_reset is not None else 0.0
    total: Tensor | float = 0.0
    for t in range(T):
        h = v + x[t] if cls is neuron.IFNode else v + (x[t] - (v - rest)) * k
        smooth = torch.atan(math.pi * (h - 0.7)) / math.pi + 0.5
        spike = smooth + ((h >= 0.7).double() - smooth).detach()
        gate = spike.detach() if detach_reset else spike
        v = h - gate * 0.7 if v_reset is None else gate * v_reset + (1 - gate) * h
        total = total + (spike * weight[t]).sum() + (v * weight[T - 1 - t]).sum()
    for mine, reference in zip(ours, torch.autograd.grad(total, inputs), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-10, atol=1e-10)


@EVERY_NEURON
@RESETS
def test_smooth_neuron_passes_gradcheck(cls, v_reset, x):
    smooth = surrogate.Sigmoid(spiking=False)
    node = cls(v_reset=v_reset, surrogate_function=smooth, step_mode="m").double()

    def run(x_seq: Tensor) -> Tensor:
        node.reset()
        return node(x_seq)

    assert torch.autograd.gradcheck(run, (x[:4].double().requires_grad_(True),))


@LEAKY
def test_membrane_below_threshold_is_a_low_pass_filter(cls):
    node = cls(4.0, v_threshold=math.inf, step_mode="m").double()
    node(torch.ones(T, 1, dtype=torch.float64))
    # v[T] = 1 - (1 - 1/tau)^T for a unit step
    expected = torch.full((1,), 1 - 0.75**T, dtype=torch.float64)
    torch.testing.assert_close(node.v.detach(), expected, rtol=1e-6, atol=0)


@LEAKY
def test_undecayed_input_enters_whole(cls):
    node = cls(4.0, decay_input=False, v_threshold=math.inf, step_mode="m").double()
    node(torch.ones(T, 1, dtype=torch.float64))
    expected = torch.full((1,), 4 * (1 - 0.75**T), dtype=torch.float64)
    torch.testing.assert_close(node.v.detach(), expected, rtol=1e-6, atol=0)


@LEAKY
@given(v_reset=st.floats(-1, 0.5))
def test_hard_reset_decays_towards_v_reset(cls, v_reset):
    node = cls(2.0, v_reset=v_reset)
    node.v = torch.tensor([v_reset + 0.25])
    node(torch.zeros(1))
    assert node.v.item() == pytest.approx(v_reset + 0.125, abs=1e-6)


@settings(max_examples=50)
@given(st.lists(st.floats(0, 3, width=32), min_size=1, max_size=20))
def test_soft_reset_conserves_charge(currents):
    x = torch.tensor(currents, dtype=torch.float64).unsqueeze(1)
    node = neuron.IFNode(v_reset=None, step_mode="m")
    spikes = node(x)
    assert (spikes.sum() + node.v).item() == pytest.approx(x.sum().item(), abs=1e-9)


def test_hard_reset_lands_on_v_reset():
    node = neuron.IFNode(v_reset=-0.25)
    assert node(torch.tensor([5.0])).item() == 1.0
    assert node.v.item() == -0.25


def test_nan_never_fires_and_stays():
    node = neuron.LIFNode(step_mode="m")
    assert node(torch.tensor([[math.nan], [9.0]])).tolist() == [[0.0], [0.0]]
    assert node.v.isnan().all()


def test_time_constant_of_plif_is_learned_and_shown():
    node = neuron.ParametricLIFNode(init_tau=4.0, step_mode="m")
    assert node.w.shape == ()
    assert node.tau == pytest.approx(4.0)
    node(torch.rand(T, 3)).sum().backward()
    assert node.w.grad is not None
    assert "tau=4.0" in repr(node) or "tau=3.99" in repr(node)


def test_backward_cost_per_step_does_not_grow_with_the_number_of_steps():
    def saved_bytes(steps: int) -> int:
        total = 0

        def pack(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            neuron.LIFNode(step_mode="m")(torch.rand(steps, 64, requires_grad=True))
        return total

    assert saved_bytes(64) <= 4 * saved_bytes(16) + 1024


# the user's side


def test_repr_is_the_documented_one():
    assert repr(neuron.LIFNode(tau=2)) == (
        "LIFNode(\n"
        "  v_threshold=1.0, v_reset=0.0, detach_reset=False, step_mode=s, backend=torch, tau=2.0\n"
        "  (surrogate_function): Sigmoid(alpha=4.0, spiking=True)\n)"
    )


@EVERY_NEURON
def test_positional_arguments_keep_the_documented_order(cls):
    head = () if cls is neuron.IFNode else (3.0, False)
    node = cls(*head, 0.5, None, surrogate.ATan(), True, "m", "torch", True)
    assert node.v_threshold == 0.5
    assert node.v_reset is None
    assert node.detach_reset and node.store_v_seq
    assert node.step_mode == "m"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"v_threshold": "1"}, TypeError, "v_threshold must be a number"),
        ({"v_reset": True}, TypeError, "v_reset must be a number"),
        ({"detach_reset": 1}, TypeError, "detach_reset must be True or False"),
        ({"surrogate_function": 3}, TypeError, "surrogate_function must be callable"),
        ({"tau": 1.0}, ValueError, "tau must be greater than 1 step"),
        ({"tau": math.nan}, ValueError, "tau must be greater than 1 step"),
        ({"step_mode": "t"}, ValueError, "step_mode can only be"),
        ({"backend": "cupyy"}, NotImplementedError, "not a supported backend of LIFNode"),
        ({"thau": 2.0}, TypeError, "thau"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        neuron.LIFNode(**arguments)


def test_any_callable_may_be_the_surrogate(x):
    node = neuron.IFNode(surrogate_function=lambda u: (u > 0.5).float(), step_mode="m")
    assert set(node(x).unique().tolist()) <= {0.0, 1.0}


def test_a_neuron_without_charge_says_so():
    with pytest.raises(NotImplementedError, match=r"BaseNode does not define charge"):
        neuron.BaseNode()(torch.ones(1))


class Doubled(neuron.BaseNode):
    """A user's neuron: the pure step."""

    def charge(self, x, v):
        return v + 2 * x


class OldStyle(neuron.LIFNode):
    """A user's neuron: the imperative hooks."""

    def neuronal_charge(self, x):
        self.v = self.v + 2 * x


@pytest.mark.parametrize("cls", [Doubled, OldStyle])
@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("training", [True, False])
def test_user_neurons_work_in_every_mode(cls, mode, training, x):
    node = cls(step_mode=mode).train(training)
    y = node(x) if mode == "m" else torch.stack([node(x_t) for x_t in x])
    assert torch.equal(y, neuron.IFNode(step_mode="m")(2 * x))


def test_fire_and_reset_hooks_are_used_too(x):
    class Silent(neuron.IFNode):
        def neuronal_fire(self):
            return torch.zeros_like(self.v)

    class Sticky(neuron.IFNode):
        def neuronal_reset(self, spike):
            pass

    assert Silent(step_mode="m").eval()(x).sum() == 0
    sticky = Sticky(step_mode="m").eval()
    sticky(x)
    torch.testing.assert_close(sticky.v, x.sum(0))


def test_learns_inside_a_network(x):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(C, 8), neuron.ParametricLIFNode(step_mode="m"), nn.Linear(8, 1))
    net(x).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
