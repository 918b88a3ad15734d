"""Readouts: potentials in closed form, and what the decoders make of them."""

import pytest
import torch
from torch import Tensor

from sj_neurons import neuron

T, N, C = 6, 2, 3


@pytest.fixture
def x() -> Tensor:
    return torch.randn(T, N, C, generator=torch.Generator().manual_seed(0)).double()


def test_if_sums_its_input(x):
    v_seq = neuron.NonSpikingIFNode()(x)
    assert isinstance(v_seq, list) and len(v_seq) == T
    torch.testing.assert_close(torch.stack(v_seq), x.cumsum(0))


def test_lif_is_a_low_pass_filter():
    node = neuron.NonSpikingLIFNode(tau=4)
    v_seq = torch.stack(node(torch.ones(T, 1, dtype=torch.float64)))
    steps = torch.arange(1, T + 1, dtype=torch.float64)
    # v[t] = 1 - (1 - 1/tau)^t for a unit step
    torch.testing.assert_close(v_seq.flatten(), 1 - 0.75**steps)


@pytest.mark.parametrize("decode", ["max-mem", "max-abs-mem", "mean-mem", "last-mem"])
def test_value_and_gradient_of_a_decoder_in_float64(decode, x):
    tau = 3.0
    x.requires_grad_(True)
    y = neuron.NonSpikingLIFNode(tau, decode)(x)
    g = torch.rand(N, C, generator=torch.Generator().manual_seed(1)).double()
    (ours,) = torch.autograd.grad((y * g).sum(), x)
    # v[t] = sum over i <= t of (1 - 1/tau)^(t - i) x[i] / tau
    lag = (torch.arange(T).unsqueeze(1) - torch.arange(T)).double()
    kernel = torch.where(lag >= 0, (1 - 1 / tau) ** lag, 0.0) / tau
    v = torch.einsum("ti,inc->tnc", kernel, x.detach())
    if decode == "mean-mem":
        picked = torch.full((T, N, C), 1 / T).double()
    else:
        order = torch.arange(T).view(T, 1, 1).expand(T, N, C)
        largest = {"max-mem": v, "max-abs-mem": v.abs(), "last-mem": order}[decode]
        picked = chosen_steps(largest.argmax(0))
    torch.testing.assert_close(y.detach(), (picked * v).sum(0))
    torch.testing.assert_close(ours, torch.einsum("ti,tnc->inc", kernel, picked * g))


def chosen_steps(index: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(index, T).movedim(-1, 0).double()


@pytest.mark.parametrize("alias", ["last_mem", "last-me"])
def test_the_last_potential_has_three_spellings(alias, x):
    expected = neuron.NonSpikingIFNode("last-mem")(x)
    assert torch.equal(neuron.NonSpikingIFNode(alias)(x), expected)


def test_every_call_starts_at_zero_and_leaves_its_last_potential(x):
    node = neuron.NonSpikingIFNode("last-mem")
    assert torch.equal(node(x), node(x))
    assert torch.equal(node.v, x.cumsum(0)[-1])
    node(x[:, :1])
    node.reset()
    assert node.v == 0.0


def test_a_user_may_define_the_charge(x):
    class Latest(neuron.NonSpikingBaseNode):
        def charge(self, x, v):
            return x

    assert torch.equal(Latest("last-mem")(x), x[-1])
    with pytest.raises(NotImplementedError, match="does not define charge"):
        neuron.NonSpikingBaseNode()(x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: neuron.NonSpikingIFNode("max"), "decode can only be .*'max-mem'.*got 'max'"),
        (lambda: neuron.NonSpikingLIFNode(1.0), "tau must be greater than 1"),
        (lambda: neuron.NonSpikingIFNode()(torch.ones(0, 2)), "T > 0"),
        (lambda: neuron.NonSpikingIFNode()(torch.ones(2)), r"\[T, N, \*\]"),
    ],
)
def test_bad_arguments_and_inputs_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_integers_become_floating_point_numbers():
    node = neuron.NonSpikingLIFNode(decode="last-mem")
    assert node(torch.ones(3, 2, dtype=torch.int32)).dtype == torch.get_default_dtype()
    assert node.supported_backends == ("torch",)
