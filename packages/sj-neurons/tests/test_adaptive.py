"""Adaptive neurons: the adaptation current, its gradient, the hooks."""

import pytest
import torch

from sj_neurons import neuron, surrogate

RESETS = pytest.mark.parametrize("v_reset", [0.0, -0.2, None], ids=["hard", "offset", "soft"])


@RESETS
@pytest.mark.parametrize("detach_reset", [True, False])
def test_gradient_equals_the_unrolled_equations(oracle, v_reset, detach_reset):
    node = neuron.IzhikevichNode(
        3.0, 0.7, 1.1, 0.9, v_reset, -0.1, 0.05, 4.0, 0.3, 0.2,
        surrogate.ATan(), detach_reset, "m", "torch", True,
    ).double()  # fmt: skip

    def step(x, v, w):
        h = v + (x + 1.1 * (v + 0.1) * (v - 0.7) - w) / 3
        w = w + (0.3 * (h + 0.1) - w) / 4
        s = oracle.spike(h - 0.9)
        # only the reset of v is detached
        return s, oracle.reset(h, s.detach() if detach_reset else s, 0.9, v_reset), w + 0.2 * s

    oracle.compare(node, step, [v_reset or 0.0, 0.05], oracle.x_seq(8, 2, 3))


def test_adaptation_decays_with_its_time_constant():
    node = neuron.IzhikevichNode(tau_w=4, w_rest=1.0, v_threshold=99.0, step_mode="m")
    node(torch.zeros(5, 1, dtype=torch.float64))
    assert node.w.item() == pytest.approx(0.75**5)
    node.reset()
    assert node.w == 1.0


def test_each_spike_adds_b():
    node = neuron.IzhikevichNode(b=0.5, tau_w=1e9, step_mode="m")
    spikes = node(torch.full((20, 1), 3.0, dtype=torch.float64))
    assert node.w.item() == pytest.approx(0.5 * spikes.sum().item(), rel=1e-6)


def test_adaptation_slows_firing(oracle):
    x = torch.full((40, 1), 2.0)
    plain = neuron.IzhikevichNode(step_mode="m")(x).sum()
    assert 0 < neuron.IzhikevichNode(b=0.5, tau_w=10, step_mode="m")(x).sum() < plain


class Leaky(neuron.AdaptBaseNode):
    """A user's adaptive neuron: the pure step."""

    def charge(self, x, v, w):
        return v + (x - v - w) / 2


class LeakyHooks(neuron.AdaptBaseNode):
    """The same by the imperative hooks."""

    def neuronal_charge(self, x):
        self.v = self.v + (x - self.v - self.w) / 2


class OwnAdaptation(Leaky):
    def neuronal_adaptation(self):
        self.w = self.w + self.v


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("training", [True, False])
def test_hooks_and_pure_step_are_the_same_neuron(oracle, mode, training):
    x = oracle.x_seq(8, 2, 3)

    def run(cls):
        node = cls(a=0.3, b=0.2, v_rest=0.1, step_mode=mode, store_v_seq=True).train(training)
        y = node(x) if mode == "m" else torch.stack([node(x_t) for x_t in x])
        return y, node.v, node.w, node.v_seq

    for pure, hooked in zip(run(Leaky), run(LeakyHooks), strict=True):
        assert pure is hooked is None or torch.equal(pure, hooked)


def test_the_adaptation_hook_is_used():
    node = OwnAdaptation(v_threshold=99.0)
    node(torch.ones(1))
    node(torch.ones(1))
    assert node.w.item() == pytest.approx(0.5 + 0.5)


def test_positional_arguments_of_the_base_keep_the_documented_order():
    node = Leaky(0.5, None, 0.1, 0.2, 3, 0.4, 0.5, surrogate.ATan(), True, "m", "torch", True)
    assert (node.v_rest, node.w_rest, node.tau_w, node.a, node.b) == (0.1, 0.2, 3.0, 0.4, 0.5)
    assert "v_rest=0.1, w_rest=0.2, tau_w=3.0, a=0.4, b=0.5" in repr(node)
    assert "b=0.0, tau=2.0, v_c=0.8, a0=1.0" in repr(neuron.IzhikevichNode())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"tau": 1}, ValueError, "IzhikevichNode: tau must be greater than 1"),
        ({"tau_w": 0}, ValueError, "tau_w must be greater than 0"),
        ({"a0": -1}, ValueError, "a0 must be greater than 0"),
        ({"w_rest": None}, TypeError, "w_rest must be a number"),
        ({"b": "x"}, TypeError, "b must be a number"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        neuron.IzhikevichNode(**arguments)


def test_the_base_alone_has_no_charge():
    with pytest.raises(NotImplementedError, match="AdaptBaseNode does not define charge"):
        neuron.AdaptBaseNode()(torch.ones(1))
