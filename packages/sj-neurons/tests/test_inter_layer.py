"""Intra-layer connections: the recurrence written out, the input left alone, soft resets."""

import math

import pytest
import torch
from torch import Tensor

from sj_neurons import neuron, surrogate

T, N, ACT, POP = 5, 2, 2, 3
ILC = [neuron.ILCIFNode, neuron.ILCLIFNode, neuron.ILCCUBALIFNode]
EVERY = pytest.mark.parametrize("cls", ILC)
RESETS = pytest.mark.parametrize("v_reset", [0.0, -0.5, None], ids=["hard", "offset", "soft"])


@pytest.fixture
def x() -> Tensor:
    return 2 * torch.rand(T, N, ACT * POP, generator=torch.Generator().manual_seed(0))


def build(cls: type, **options):
    torch.manual_seed(1)
    return cls(ACT, POP, v_threshold=0.7, **options).double()


def connected(node, spike: Tensor) -> Tensor:
    """What the spikes add to the next input, population by population."""
    weight = node.conn.weight.view(ACT, POP, POP)
    parts = [spike[:, p * POP : (p + 1) * POP] @ weight[p].t() for p in range(ACT)]
    return torch.cat(parts, 1) + node.conn.bias


@EVERY
@RESETS
def test_outputs_and_gradients_equal_an_independent_reference_in_float64(cls, v_reset, x):
    node = build(cls, v_reset=v_reset, surrogate_function=surrogate.ATan())
    x = x.double().requires_grad_(True)
    g = torch.rand(x.shape, generator=torch.Generator().manual_seed(2)).double()
    inputs = (x, node.conn.weight, node.conn.bias)
    y = node(x)
    ours = torch.autograd.grad((y * g).sum(), inputs)

    v = torch.full((N, ACT * POP), v_reset or 0.0, dtype=torch.float64)
    c: Tensor | float = 0.0
    total, spike = torch.zeros((), dtype=torch.float64), None
    for t in range(T):
        current = x[t] if spike is None else x[t] + connected(node, spike)
        if cls is neuron.ILCCUBALIFNode:
            c = 0.5 * c + current
            h = 0.75 * v + c
        else:
            h = (1.0 if cls is neuron.ILCIFNode else 0.75) * v + current
        smooth = torch.atan(math.pi * (h - 0.7)) / math.pi + 0.5
        spike = smooth + ((h >= 0.7).double() - smooth).detach()
        v = h - spike * 0.7 if v_reset is None else spike * v_reset + (1 - spike) * h
        assert torch.equal(y[t], (h >= 0.7).double())
        total = total + (spike * g[t]).sum()
    for mine, reference in zip(ours, torch.autograd.grad(total, inputs), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(node.v, v)
    assert 0 < y.mean() < 1


@EVERY
def test_the_input_is_left_as_it_is_and_every_call_starts_at_rest(cls, x):
    node = build(cls).float()
    before = x.clone()
    first = node(x)
    assert torch.equal(x, before)
    assert torch.equal(node(x), first)
    assert node(x[:, :1]).shape == (T, 1, ACT * POP)


@EVERY
def test_states_can_be_read_after_a_call(cls, x):
    node = build(cls).float()
    node.store_v_seq = True
    node(x)
    assert torch.equal(node.v_seq[-1], node.v)
    node.reset()
    assert node.v == 0.0 and node.v_seq is None


@EVERY
def test_hooks_of_a_user_are_used(cls, x):
    class Silent(cls):
        def neuronal_fire(self):
            return torch.zeros_like(self.v)

    node = Silent(ACT, POP)
    with torch.no_grad():
        node.conn.bias.zero_()
    assert node(x).sum() == 0
    assert (node.v > 0).all()


def test_a_base_without_charge_says_so(x):
    with pytest.raises(NotImplementedError, match="ILCBaseNode does not define charge"):
        neuron.ILCBaseNode(ACT, POP)(x)


def test_defaults_are_the_documented_ones():
    node = neuron.ILCCUBALIFNode(ACT, POP)
    assert (node.c_decay, node.v_decay, node.v_threshold, node.v_reset) == (0.5, 0.75, 0.5, 0.0)
    assert neuron.ILCLIFNode(ACT, POP).v_decay == 0.75
    assert neuron.ILCIFNode(ACT, POP).v_threshold == 1.0
    assert isinstance(node.surrogate_function, surrogate.Rect)
    assert node.out_pop_dim == ACT * POP
    assert node.supported_backends == ("torch",)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: neuron.ILCIFNode(0, 3), ValueError, "act_dim must be at least 1"),
        (lambda: neuron.ILCIFNode(2, 1.5), TypeError, "dec_pop_dim must be a whole number"),
        (lambda: neuron.ILCLIFNode(2, 3, 1.5), ValueError, r"v_decay must be in \[0, 1\]"),
        (lambda: neuron.ILCCUBALIFNode(2, 3, -0.1), ValueError, r"c_decay must be in \[0, 1\]"),
        (lambda: neuron.ILCIFNode(2, 3, v_reset="0"), TypeError, "v_reset must be a number"),
        (
            lambda: neuron.ILCIFNode(2, 3)(torch.ones(4, 2, 5)),
            ValueError,
            r"expected an input \[T, N, 6\], got shape \(4, 2, 5\)",
        ),
        (lambda: neuron.ILCIFNode(2, 3)(torch.ones(4, 6)), ValueError, r"\[T, N, 6\]"),
        (lambda: neuron.ILCIFNode(2, 3)(torch.ones(0, 2, 6)), ValueError, "T > 0"),
    ],
)
def test_bad_arguments_and_inputs_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_there_are_whole_sequences_only():
    with pytest.raises(ValueError, match="step_mode can only be"):
        neuron.ILCIFNode(2, 3).step_mode = "s"
