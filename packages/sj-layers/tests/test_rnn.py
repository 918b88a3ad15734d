"""Spiking recurrent networks against their equations, unrolled in float64."""

import math

import pytest
import torch

from sj_layers.rnn import SpikingGRU, SpikingLSTM, SpikingLSTMCell, SpikingVanillaRNN
from sj_neurons.surrogate import ATan, Erf

T, N, IN, H, LAYERS = 6, 3, 5, 4, 3
NETWORKS = {"vanilla": SpikingVanillaRNN, "lstm": SpikingLSTM, "gru": SpikingGRU}
EVERY = pytest.mark.parametrize("name", NETWORKS)
BOTH_WAYS = pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "two-way"])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(T, N, IN, dtype=torch.float64)


def _tuple(states):
    return states if isinstance(states, tuple) else (states,)


def _lively(name, *sizes, **options):
    """A float64 network in which all layers fire now and then."""
    net = NETWORKS[name](*sizes, **options).double()
    with torch.no_grad():
        for key, parameter in net.named_parameters():
            parameter.mul_(2.0).add_(0.2 if key.endswith("ih.bias") else 0.0)
    return net


# the equations, written anew


def _erf(u):
    """A spike with the gradient of Erf(alpha=2): the smooth curve, lifted to 0 or 1."""
    smooth = torch.erfc(-2.0 * u) / 2
    return smooth + ((u >= 0).to(u) - smooth).detach()


def _atan(u):
    smooth = torch.atan(math.pi * u) / math.pi + 0.5
    return smooth + ((u >= 0).to(u) - smooth).detach()


def _vanilla(p, u, states, s1, s2):
    return (s1(p + u),)


def _lstm(p, u, states, s1, s2):
    i, f, g, o = (p + u).split(H, dim=1)
    c = s1(f) * states[1] + s1(i) * s2(g)
    c = c + (c.clamp(max=1.0) - c).detach()
    return s1(o) * c, c


def _gru(p, u, states, s1, s2):
    p, u = p.split(H, dim=1), u.split(H, dim=1)
    r, z = s1(p[0] + u[0]), s1(p[1] + u[1])
    n = s2(p[2] + r * u[2])
    return ((1 - z) * n + z * states[0],)


STEPS = {"vanilla": _vanilla, "lstm": _lstm, "gru": _gru}


def _reference(name, net, x, states=None, s1=_erf, s2=None):
    """Outputs and states of all layers, by loops over layers, directions and steps."""
    count = 2 if name == "lstm" else 1
    directions = [net.cells] + ([net.cells_reverse] if net.bidirectional else [])
    total = net.num_layers * len(directions)
    if states is None:
        states = [torch.zeros(total, N, H, dtype=x.dtype) for _ in range(count)]
    final = [[None] * total for _ in range(count)]
    for layer in range(net.num_layers):
        outputs = []
        for d, cells in enumerate(directions):
            cell = cells[layer]
            k = d * net.num_layers + layer
            now = [state[k] for state in states]
            y = [None] * len(x)
            for t in range(len(x)) if d == 0 else reversed(range(len(x))):
                p = x[t] @ cell.linear_ih.weight.T + cell.linear_ih.bias
                u = now[0] @ cell.linear_hh.weight.T + cell.linear_hh.bias
                now = STEPS[name](p, u, now, s1, s2 or s1)
                y[t] = now[0]
            outputs.append(torch.stack(y))
            for j in range(count):
                final[j][k] = now[j]
        x = torch.cat(outputs, dim=-1)
    return x, tuple(torch.stack(state) for state in final)


def _compare(name, net, x, states=None, **surrogates):
    """Outputs, states and all gradients."""
    x.requires_grad_()
    given = () if states is None else _tuple(states)
    inputs = (x, *given, *net.parameters())
    results = []
    for y, final in (net(x, states), _reference(name, net, x, given or None, **surrogates)):
        outputs = (y, *_tuple(final))
        weights = torch.Generator().manual_seed(1)
        loss = sum((out * torch.rand(out.shape, generator=weights)).sum() for out in outputs)
        results.append((outputs, torch.autograd.grad(loss, inputs)))
    (ours, our_gradients), (theirs, their_gradients) = results
    assert all(0.02 < out.mean() < 0.98 for out in ours)  # a silent network proves little
    assert sum(bool(reference.any()) for reference in their_gradients) > 0.9 * len(inputs)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-12, atol=1e-12)
    for mine, reference in zip(our_gradients, their_gradients, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-9, atol=1e-9)


@EVERY
@BOTH_WAYS
def test_network_follows_its_equations(name, bidirectional, x):
    _compare(name, _lively(name, IN, H, LAYERS, bidirectional=bidirectional), x)


@EVERY
@BOTH_WAYS
def test_initial_states_enter_and_get_gradients(name, bidirectional, x):
    net = _lively(name, IN, H, LAYERS, bidirectional=bidirectional)
    shape = (LAYERS * (2 if bidirectional else 1), N, H)
    states = tuple(
        torch.rand(shape, dtype=torch.float64).requires_grad_() for _ in net.cell.state_names
    )
    _compare(name, net, x, states if name == "lstm" else states[0])


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_second_surrogate_is_that_of_the_candidate(name, x):
    net = _lively(name, IN, H, 2, surrogate_function1=Erf(), surrogate_function2=ATan())
    _compare(name, net, x, s1=_erf, s2=_atan)


def test_surrogate_can_be_chosen(x):
    net = _lively("vanilla", IN, H, 2, surrogate_function=ATan())
    _compare("vanilla", net, x, s1=_atan)


def test_cell_state_stays_at_one_and_keeps_its_gradient():
    cell = SpikingLSTMCell(1, 1).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.fill_(10.0)  # all gates open
    c = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
    x = torch.ones(1, 1, dtype=torch.float64)
    h, c_new = cell(x, (torch.zeros_like(x), c))
    assert h.item() == c_new.item() == 1.0
    c_new.backward()
    assert c.grad.item() == 1.0


# the whole and its parts


@EVERY
def test_a_network_of_one_layer_is_its_cell_step_by_step(name, x):
    net = _lively(name, IN, H, 1)
    y, final = net(x)
    states, outputs = None, []
    for x_t in x:
        states = net.cells[0](x_t, states)
        outputs.append(_tuple(states)[0])
    torch.testing.assert_close(y, torch.stack(outputs), rtol=1e-12, atol=1e-12)
    for mine, reference in zip(_tuple(final), _tuple(states), strict=True):
        torch.testing.assert_close(mine[0], reference, rtol=1e-12, atol=1e-12)


@EVERY
@pytest.mark.parametrize("cut", [1, 4])
def test_a_sequence_can_be_cut_where_states_are_passed_on(name, cut, x):
    net = _lively(name, IN, H, LAYERS)
    y, final = net(x)
    head, states = net(x[:cut])
    tail, states = net(x[cut:], states)
    torch.testing.assert_close(torch.cat([head, tail]), y, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(states, final, rtol=1e-12, atol=1e-12)


@EVERY
def test_samples_of_a_batch_do_not_mix(name, x):
    net = _lively(name, IN, H, 2, bidirectional=True)
    y, _ = net(x)
    torch.testing.assert_close(net(x[:, 1:2])[0], y[:, 1:2], rtol=1e-12, atol=1e-12)


@EVERY
def test_the_second_direction_is_the_first_on_the_reversed_sequence(name, x):
    net = _lively(name, IN, H, 1, bidirectional=True)
    net.cells_reverse.load_state_dict(net.cells.state_dict())
    forwards, backwards = net(x)[0].split(H, dim=-1)
    turned = net(x.flip(0))[0][..., :H]
    assert torch.equal(backwards, turned.flip(0))
    assert not torch.equal(forwards, backwards)
