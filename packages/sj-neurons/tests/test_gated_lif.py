"""GatedLIFNode: the gates, the time index, the checks of the input."""

import math

import pytest
import torch

from sj_neurons import neuron, surrogate

SHAPE = (4, 2, 3, 2, 2)


def make(inplane, **kwargs):
    torch.manual_seed(0)
    node = neuron.GatedLIFNode(
        4, inplane, surrogate_function=surrogate.ATan(), store_v_seq=True, **kwargs
    ).double()
    with torch.no_grad():
        for parameter in node.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return node


@pytest.mark.parametrize("inplane", [None, 3])
def test_gradient_equals_the_unrolled_equations(oracle, inplane):
    node = make(inplane)
    p = {
        name: torch.sigmoid(w).reshape(*w.shape[: name == "conduct"], -1, 1, 1)
        for name, w in node.named_parameters()
    }
    t = iter(range(4))

    def step(x, v, s_prev):
        current = x * (1 - p["beta"] * (1 - p["conduct"][next(t)]))
        kept = (1 - p["alpha"] * (1 - p["tau"])) * v
        u = kept - (1 - p["alpha"]) * p["linear_decay"] + current
        u = u - kept * p["gamma"] * s_prev - (1 - p["gamma"]) * p["v_subreset"] * s_prev
        s = oracle.spike(u - p["v_threshold"])
        return s, u, s

    oracle.compare(node, step, [0.0, 0.0], oracle.x_seq(*SHAPE, high=2.0))


def test_parameters_are_logits_of_the_initial_values():
    node = neuron.GatedLIFNode(5, 3, init_tau=0.3, init_v_threshold=0.4, init_conduct=0.6)
    expected = {
        "tau": 0.3, "v_threshold": 0.4, "linear_decay": 0.04, "v_subreset": 0.4, "conduct": 0.6
    }  # fmt: skip
    for name, value in expected.items():
        torch.testing.assert_close(
            getattr(node, name).sigmoid(), torch.full_like(getattr(node, name), value)
        )
    assert node.conduct.shape == (5, 3)
    assert node.tau.shape == (3,)
    for gate in (node.alpha, node.beta, node.gamma):
        assert gate.shape == (3,) and gate.abs().max() <= 0.1
    assert neuron.GatedLIFNode(5).conduct.shape == (5,)
    assert neuron.GatedLIFNode(5).tau.shape == ()


def test_with_the_gates_open_it_is_a_soft_reset_lif(oracle):
    node = neuron.GatedLIFNode(4, init_tau=0.5, init_v_threshold=0.7).double()
    with torch.no_grad():
        for gate, logit in ((node.alpha, 40.0), (node.beta, -40.0), (node.gamma, -40.0)):
            gate.fill_(logit)
    x = oracle.x_seq(*SHAPE, high=2.0)
    spikes, v, s = [], torch.zeros_like(x[0]), torch.zeros_like(x[0])
    for x_t in x:
        v = v / 2 + x_t - 0.7 * s
        s = (v >= 0.7).double()
        spikes.append(s)
    assert torch.equal(node(x), torch.stack(spikes))


def test_a_new_call_keeps_the_potential_and_starts_the_time_index_again(oracle):
    x = oracle.x_seq(*SHAPE)
    node, twin = make(3), make(3)
    node(x)
    twin.v = node.v
    assert torch.equal(node(x), twin(x))
    node.reset()
    assert (node.v, node.last_spike, node.v_seq) == (0.0, 0.0, None)


@pytest.mark.parametrize(
    ("inplane", "shape"),
    [
        (None, (4, 2, 3)),
        (3, (4, 2, 3)),
        (None, (3, 2, 3, 2, 2)),
        (3, (5, 2, 3, 2, 2)),
        (3, (4, 2, 1, 2, 2)),
        (3, (4, 2, 6, 2, 2)),
        (None, (0, 2, 3, 2, 2)),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inplane, shape):
    channels = "C" if inplane is None else inplane
    with pytest.raises(ValueError, match=rf"\[T=4, N, {channels}, H, W\], got shape \({shape[0]}"):
        neuron.GatedLIFNode(4, inplane)(torch.zeros(shape))


def test_it_runs_whole_sequences_only():
    node = neuron.GatedLIFNode(4)
    assert node.step_mode == "m"
    with pytest.raises(ValueError, match="step_mode can only be"):
        node.step_mode = "s"


def test_hooks_of_a_subclass_are_used(oracle):
    class Same(neuron.GatedLIFNode):
        def neuronal_charge(self, x):
            super().neuronal_charge(x)

    x = oracle.x_seq(*SHAPE)
    plain, same = neuron.GatedLIFNode(4).double(), Same(4).double()
    same.load_state_dict(plain.state_dict())
    assert torch.equal(same(x), plain(x)) and torch.equal(same.v, plain.v)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"T": 0}, ValueError, "GatedLIFNode: T must be at least 1"),
        ({"T": 4.0}, TypeError, "GatedLIFNode: T must be a whole number"),
        ({"T": 4, "inplane": 0}, ValueError, "inplane must be at least 1"),
        ({"T": 4, "init_tau": 1.0}, ValueError, "init_tau must lie between 0 and 1"),
        ({"T": 4, "init_conduct": math.nan}, ValueError, "init_conduct must lie between"),
        ({"T": 4, "init_v_threshold": "x"}, TypeError, "init_v_threshold must be a number"),
        ({"T": 4, "init_linear_decay": 0}, ValueError, "init_linear_decay must lie between"),
        ({"T": 4, "init_v_subreset": 2}, ValueError, "init_v_subreset must lie between"),
        ({"T": 4, "step_mode": "s"}, ValueError, "step_mode can only be"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        neuron.GatedLIFNode(**arguments)


def test_repr_shows_its_shape():
    assert "T=4, inplane=3, step_mode=m, backend=torch" in repr(neuron.GatedLIFNode(4, 3))
