"""from_step: a function becomes a neuron like every other."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from sj_neurons import base, neuron, ops, surrogate

ATAN = surrogate.ATan()


def leaky(x, v):
    h = v + (x - v) / 2
    s = ops.fire(h - 1.0, ATAN)
    return s, (1.0 - s) * h


def adaptive(x, v, threshold, *, tau, jump, surrogate_function=ATAN):
    h = v + (x - v) / tau
    s = ops.fire(h - threshold, surrogate_function)
    return s, (1.0 - s) * h, threshold + jump * s


STATES = {"v": 0.0, "threshold": 1}
Leaky = neuron.from_step(leaky, states={"v": 0.0}, name="Leaky")
Adaptive = neuron.from_step(
    adaptive, states=STATES, params={"tau": 2.0, "jump": nn.Parameter(torch.tensor(0.5))}
)


@pytest.fixture
def x() -> Tensor:
    return 3 * torch.rand(8, 2, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("training", [True, False])
def test_it_equals_the_class_written_by_hand(x, training):
    ours = Leaky(step_mode="m", store_v_seq=True).train(training)
    lif = neuron.LIFNode(2.0, surrogate_function=ATAN, step_mode="m", store_v_seq=True)
    x.requires_grad_(True)
    (mine,) = torch.autograd.grad(ours(x).sum() + ours.v_seq.sum(), x)
    (reference,) = torch.autograd.grad(lif(x).sum() + lif.v_seq.sum(), x)
    assert torch.equal(mine, reference)
    assert torch.equal(ours.v, lif.v)
    assert issubclass(Leaky, neuron.BaseNode)


@pytest.mark.parametrize("detach_reset", [True, False])
def test_gradient_equals_the_unrolled_equations(oracle, detach_reset):
    def step(x, v, w, a):
        h = v + x - w
        s = ops.fire(h - 1.0, ATAN)
        gate = ops.detach(s) if detach_reset else s
        return s, h - gate, a * w + gate

    def expected(x, v, w):
        h = v + x - w
        s = oracle.spike(h - 1)
        gate = s.detach() if detach_reset else s
        return s, h - gate, node.a * w + gate

    params = {"a": nn.Parameter(torch.tensor(0.7))}
    node = neuron.from_step(step, states={"v": 0.25, "w": 0.1}, params=params)(
        "m", store_v_seq=True
    )
    oracle.compare(node.double(), expected, [0.25, 0.1], oracle.x_seq(8, 2, 3))


def test_many_steps_equal_repeated_single_steps(x):
    single, multi = Adaptive(), Adaptive(step_mode="m")
    spikes = torch.stack([single(x_t) for x_t in x])
    assert torch.equal(multi(x), spikes) and 0 < spikes.sum() < spikes.numel()
    assert torch.equal(multi.v, single.v) and torch.equal(multi.threshold, single.threshold)
    multi.reset()
    assert dict(multi.named_memories()) == {"v": 0.0, "threshold": 1.0}


def test_functional_form_equals_the_module(x):
    node, pure = Adaptive(step_mode="m"), Adaptive(step_mode="m")
    (spikes,), states = pure.functional_forward((x,), list(pure.memories()))
    assert torch.equal(spikes, node(x))
    assert all(map(torch.equal, states, base.extract_memories(node)))
    assert dict(pure.named_memories()) == {"v": 0.0, "threshold": 1.0}


def test_parameters_are_each_instance_s_own(x):
    first, second = Adaptive(step_mode="m"), Adaptive(step_mode="m", tau=4.0)
    assert (first.tau, second.tau) == (2.0, 4.0)
    assert first.jump is not second.jump
    first(x).sum().backward()
    assert first.jump.grad is not None and second.jump.grad is None
    assert set(first.state_dict()) == {"jump"}


def test_values_of_every_kind():
    def step(x, v, scale, gain, surrogate_function, soft, v_threshold):
        h = v + scale * gain * x
        s = ops.fire(h - v_threshold, surrogate_function)
        return s, h - s if soft else (1.0 - s) * h

    cls = neuron.from_step(
        step,
        states={"v": 0.5},
        params={
            "scale": torch.tensor([1.0, 2.0]),
            "gain": nn.Parameter(torch.ones(2), requires_grad=False),
            "surrogate_function": surrogate.Sigmoid(),
            "soft": True,
            "v_threshold": 1,
        },
    )
    node = cls()
    assert node(torch.tensor([[0.4, 0.4]])).tolist() == [[0.0, 1.0]]
    assert set(node.state_dict()) == {"scale", "gain"}
    assert not node.gain.requires_grad
    assert node.surrogate_function is not cls().surrogate_function
    assert node.double().scale.dtype == torch.float64
    assert node.extra_repr() == "soft=True, v_threshold=1, step_mode=s, backend=torch"
    fixed = cls(gain=2.0)
    assert fixed.gain == 2.0 and set(fixed.state_dict()) == {"scale"}


def test_repr_is_that_of_a_module():
    assert repr(Leaky()) == "Leaky(step_mode=s, backend=torch)"
    assert repr(Adaptive(tau=3.0)) == "adaptive(tau=3.0, step_mode=s, backend=torch)"


@pytest.mark.parametrize("cls", [Leaky, Adaptive])
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_continue_from_the_live_state(cls, clone, x):
    node = cls(step_mode="m", store_v_seq=True)
    node(x.requires_grad_(True))
    twin = clone(node)
    assert twin.extra_repr() == node.extra_repr()
    assert torch.equal(twin(x), node(x)) and torch.equal(twin.v, node.v)
    twin.reset()
    assert twin.v == 0.0


def test_copies_keep_their_class_where_it_can_be_found():
    assert type(copy.deepcopy(Adaptive())) is Adaptive
    assert type(pickle.loads(pickle.dumps(Leaky()))) is Leaky
    # `Adaptive` is not bound to its own name: pickle makes the class again
    assert issubclass(type(pickle.loads(pickle.dumps(Adaptive()))), neuron.BaseNode)


class Bounded(Leaky):
    """A user's subclass."""

    def step(self, x, v):
        spike, v = super().step(x, v)
        return spike, ops.clamp(v, 0.0, 0.25)


def test_a_class_may_be_derived_further(x):
    node = Bounded(step_mode="m", store_v_seq=True)
    node(x)
    assert node.v_seq.max() <= 0.25
    assert type(pickle.loads(pickle.dumps(node))) is Bounded


def test_inside_a_network(x):
    net = nn.Sequential(nn.Linear(3, 4), Adaptive(step_mode="m"))
    with base_shape_error():
        net(x)
        net(x[:, :1])


def base_shape_error():
    return pytest.raises(ValueError, match=r"adaptive: input \(1, 4\).*state \(2, 4\)")


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_as_one_graph(x):
    node = Adaptive(step_mode="m")
    reference = node(x)
    node.reset()
    compiled = torch.compile(node, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), reference)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"step": 3}, TypeError, "step must be a function"),
        ({"states": {}}, ValueError, "at least one state"),
        ({"states": {"v": 0.0, "w": 0.0}}, TypeError, r"leaky: the step must take \(x, v, w\)"),
        ({"params": {"tau": 2.0}}, TypeError, r"leaky: the step must take \(x, v, tau=\)"),
        ({"states": {"v": "0"}}, TypeError, "leaky: state v must be a number"),
        ({"states": {"step": 0.0}}, ValueError, "'step' cannot name"),
        ({"states": {"_v": 0.0}}, ValueError, "'_v' cannot name"),
        ({"states": {"v seq": 0.0}}, ValueError, "'v seq' cannot name"),
        ({"states": {"v": 0.0}, "params": {"v": 1.0}}, ValueError, "a state and a parameter"),
        ({"name": "my neuron"}, ValueError, "'my neuron' cannot name a class"),
        ({"step": lambda x, v: (x, v)}, ValueError, "'<lambda>' cannot name a class; pass name="),
    ],
)
def test_bad_definitions_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        neuron.from_step(**{"step": leaky, "states": {"v": 0.0}, **arguments})


def test_a_function_without_a_signature_is_taken_on_trust():
    node = neuron.from_step(max, states={"v": 0.0}, name="Max")()
    with pytest.raises(ValueError, match="Max: the step must return a tuple"):
        node(torch.ones(()).expand(1))


def test_bad_parameters_are_named():
    with pytest.raises(TypeError, match="adaptive has no parameter 'thau'; it has: tau, jump"):
        Adaptive(thau=3.0)
    with pytest.raises(TypeError, match="adaptive: parameter tau must be a number"):
        Adaptive(tau="3")
    with pytest.raises(TypeError, match="Leaky has no parameter 'tau'; it has: none"):
        Leaky(tau=3.0)
    with pytest.raises(TypeError, match="parameter tau must be a number"):
        neuron.from_step(adaptive, states=STATES, params={"tau": [2.0], "jump": 1.0})


@pytest.mark.parametrize(
    ("result", "described"),
    [(lambda x, v: x, "a Tensor"), (lambda x, v: (x,), "a tuple of 1")],
)
def test_a_wrong_result_is_named(result, described):
    node = neuron.from_step(result, states={"v": 0.0}, name="Wrong")()
    message = rf"Wrong: the step must return a tuple \(spike, v\), got {described}"
    with pytest.raises(ValueError, match=message):
        node(torch.ones(1))
