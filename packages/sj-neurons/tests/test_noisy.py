"""Noisy neurons: the spectrum of the noise, its order of use, and the recurrence written out."""

import copy
import math
import pickle

import pytest
import torch
from torch import Tensor

from sj_neurons import neuron, surrogate
from sj_neurons.neuron._colored_noise import power_law_noise

T, N, ACT, POP = 5, 2, 2, 3
WIDTH = ACT * POP


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def x() -> Tensor:
    return 2 * torch.rand(T, N, WIDTH, generator=seeded()).double()


def build(kind: str, **options):
    torch.manual_seed(1)
    if kind == "cuba":
        return neuron.NoisyCUBALIFNode(WIDTH, **options).double()
    if kind == "ilc":
        return neuron.NoisyILCCUBALIFNode(ACT, POP, **options).double()
    return neuron.NoisyNonSpikingIFNode(WIDTH, decode="last-me", **options).double()


EVERY = pytest.mark.parametrize("kind", ["cuba", "ilc", "readout"])
SPIKING = pytest.mark.parametrize("kind", ["cuba", "ilc"])


# the noise


@pytest.mark.parametrize("samples", [8, 9, 1, 2])
def test_white_noise_is_independent_with_variance_one(samples):
    noise = power_law_noise(0.0, 40000, samples, seeded()).double()
    covariance = noise.t() @ noise / 40000
    torch.testing.assert_close(covariance, torch.eye(samples).double(), rtol=0, atol=0.03)


@pytest.mark.parametrize("beta", [-1.0, 1.0, 2.0])
def test_power_follows_the_exponent_and_variance_stays_one(beta):
    noise = power_law_noise(beta, 4000, 32, seeded()).double()
    torch.testing.assert_close(
        noise.var(0).mean(), torch.ones((), dtype=torch.float64), rtol=0.05, atol=0
    )
    power = torch.fft.rfft(noise).abs().square().mean(0)[1:-1]
    expected = torch.arange(1, 16).double() ** -beta
    torch.testing.assert_close(power / power[0], expected / expected[0], rtol=0.1, atol=0)


@EVERY
def test_a_generator_makes_the_noise_reproducible(kind):
    one, two = build(kind), build(kind)
    one.reset_noise(3, seeded(5))
    two.reset_noise(3, generator=seeded(5))
    x = torch.ones(T, N, WIDTH).double()
    first = one(x)
    assert torch.equal(first, two(x))
    two.reset_noise(3, seeded(6))
    assert not torch.equal(first, two(x))


@EVERY
def test_each_call_uses_the_next_piece_of_one_signal(kind):
    node = build(kind)
    node.reset_noise(3, seeded())
    channels = WIDTH if kind == "readout" else 2 * WIDTH
    expected = power_law_noise(0.0, channels, 3 * T, seeded()).t().double()
    x = torch.zeros(T, N, WIDTH).double()
    pieces = []
    for _ in range(3):
        node(x)
        node.reset()
        pieces.append(node.get_colored_noise())
    assert torch.equal(torch.cat(pieces), expected)
    with pytest.raises(RuntimeError, match=r"drawn for 3 calls, and this is one more.*reset_noise"):
        node(x)


@EVERY
def test_a_replay_with_loaded_noise_repeats_the_experience(kind, x):
    node = build(kind)
    node.reset_noise(2, seeded())
    outputs, noise = [], []
    for n in range(N):
        outputs.append(node(x[:, n : n + 1]))
        noise.append(node.get_colored_noise())
    node.load_colored_noise(torch.stack(noise))
    batch = node(x)
    torch.testing.assert_close(batch, torch.cat(outputs, dim=batch.dim() - 2))
    assert torch.equal(node(x), batch)
    node.cancel_load()
    with pytest.raises(RuntimeError, match="call reset_noise"):
        node(x)


@EVERY
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_go_on_with_the_same_noise_which_is_not_saved(kind, clone, x):
    node = build(kind)
    node.reset_noise(2, seeded())
    node(x)
    twin = clone(node)
    assert torch.equal(twin(x), node(x))
    assert not any("noise" in name for name in node.state_dict())


@EVERY
def test_without_the_flag_there_is_no_noise_and_none_is_used(kind, x):
    node = build(kind)
    node.is_training = False
    calm = node(x)
    assert torch.equal(calm, node(x))
    if kind == "ilc":
        twin = neuron.ILCCUBALIFNode(ACT, POP, v_threshold=1.0).double()
        twin.conn.load_state_dict(node.conn.state_dict())
    elif kind == "readout":
        twin = neuron.NonSpikingIFNode("last-mem")
    else:
        return
    assert torch.equal(twin(x), calm)


@EVERY
def test_training_mode_of_the_module_does_not_matter(kind, x):
    node = build(kind)
    node.load_colored_noise(torch.randn(1, T, node.noise.channels))
    assert torch.equal(node.train()(x), node.eval()(x))


# the equations


@SPIKING
@pytest.mark.parametrize("v_reset", [0.0, -0.5, None])
def test_outputs_and_gradients_equal_an_independent_reference_in_float64(kind, v_reset, x):
    node = build(
        kind, v_reset=v_reset, v_threshold=0.7, sigma_init=0.9, surrogate_function=surrogate.ATan()
    )
    noise = torch.randn(N, T, 2 * WIDTH, generator=seeded(3)).double()
    node.load_colored_noise(noise)
    e_v, e_s = (
        noise[..., :WIDTH] * 0.9 / math.sqrt(WIDTH),
        noise[..., WIDTH:] * 0.9 / math.sqrt(WIDTH),
    )
    x.requires_grad_(True)
    g = torch.rand(x.shape, generator=seeded(2)).double()
    inputs = (x, *node.parameters())
    ours = torch.autograd.grad((node(x) * g).sum(), inputs)

    v = torch.full((N, WIDTH), v_reset or 0.0, dtype=torch.float64)
    c, total, output = 0.0, torch.zeros((), dtype=torch.float64), None
    for t in range(T):
        current = x[t] + e_v[:, t]
        if kind == "ilc" and output is not None:
            weight = node.conn.weight.view(ACT, POP, POP)
            populations = output.view(N, ACT, POP)
            back = torch.einsum("nap,aqp->naq", populations, weight).flatten(1)
            current = current + back + node.conn.bias
        c = 0.5 * c + current
        h = 0.75 * v + c
        smooth = torch.atan(math.pi * (h - 0.7)) / math.pi + 0.5
        spike = smooth + ((h >= 0.7).double() - smooth).detach()
        v = h - spike * 0.7 if v_reset is None else spike * v_reset + (1 - spike) * h
        output = spike + e_s[:, t]
        total = total + (output * g[t]).sum()
    for mine, reference in zip(ours, torch.autograd.grad(total, inputs), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-9, atol=1e-12)


def test_readout_learns_the_strength_of_its_noise(x):
    node = build("readout", sigma_init=0.6)
    torch.testing.assert_close(
        node.sigma.detach(),
        torch.full((WIDTH,), 0.6 / math.sqrt(WIDTH)).double(),
        rtol=1e-6,
        atol=0,
    )
    node.reset_noise(1, seeded())
    y = node(x)
    noise = node.get_colored_noise()
    torch.testing.assert_close(y, x.sum(0) + node.sigma * noise.sum(0))
    y.sum().backward()
    torch.testing.assert_close(node.sigma.grad, N * noise.double().sum(0))


def test_input_is_left_as_it_is(x):
    node = build("ilc")
    node.reset_noise(1)
    before = x.clone()
    node(x)
    assert torch.equal(x, before)


def test_defaults_are_the_documented_ones():
    assert neuron.NoisyCUBALIFNode(4).v_threshold == 0.5
    assert neuron.NoisyILCCUBALIFNode(2, 2).v_threshold == 1.0
    node = neuron.NoisyCUBALIFNode(4)
    assert (node.T, node.beta, node.is_training, node.sigma_v, node.sigma_s) == (
        5,
        0.0,
        True,
        0.25,
        0.25,
    )
    assert isinstance(node.surrogate_function, surrogate.Rect)
    assert node.supported_backends == ("torch",)


def test_a_base_takes_the_charge_of_a_user(x):
    class Integrator(neuron.NoisyBaseNode):
        def charge(self, x, v):
            return v + x

    node = Integrator(WIDTH, is_training=False, v_threshold=1)
    assert torch.equal(node(x), neuron.IFNode(step_mode="m")(x))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: neuron.NoisyCUBALIFNode(0), ValueError, "num_node must be at least 1"),
        (lambda: neuron.NoisyCUBALIFNode(3, T=0), ValueError, "T must be at least 1"),
        (lambda: neuron.NoisyCUBALIFNode(3, beta="1"), TypeError, "beta must be a number"),
        (lambda: neuron.NoisyCUBALIFNode(3, sigma_init=-1), ValueError, "sigma_init must be"),
        (lambda: neuron.NoisyCUBALIFNode(3, 1.5), ValueError, "c_decay must be in"),
        (lambda: neuron.NoisyILCCUBALIFNode(0, 3), ValueError, "act_dim must be at least 1"),
        (lambda: neuron.NoisyNonSpikingIFNode(3, decode="x"), ValueError, "decode can only be"),
        (
            lambda: neuron.NoisyCUBALIFNode(3)(torch.ones(5, 2, 3)),
            RuntimeError,
            r"drawn for 0 calls.*call reset_noise\(num_rl_step\), or set is_training = False",
        ),
        (
            lambda: neuron.NoisyCUBALIFNode(3)(torch.ones(4, 2, 3)),
            ValueError,
            "built for T = 5 steps, got 4",
        ),
        (
            lambda: neuron.NoisyNonSpikingIFNode(3)(torch.ones(5, 2, 4)),
            ValueError,
            r"expected an input \[T, N, 3\], got shape \(5, 2, 4\)",
        ),
        (
            lambda: neuron.NoisyCUBALIFNode(3).load_colored_noise(torch.ones(2, 5, 3)),
            ValueError,
            r"expected noise \[N, 5, 6\], got shape \(2, 5, 3\)",
        ),
        (
            lambda: neuron.NoisyCUBALIFNode(3).get_colored_noise(),
            RuntimeError,
            "no noise has been used yet",
        ),
        (lambda: neuron.NoisyCUBALIFNode(3).reset_noise(0), ValueError, "num_rl_step must be"),
    ],
)
def test_bad_arguments_and_inputs_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_loaded_noise_of_another_batch_is_refused(x):
    node = build("cuba")
    node.load_colored_noise(torch.ones(3, T, 2 * WIDTH))
    with pytest.raises(ValueError, match="noise for N = 3 is loaded, the input has N = 2"):
        node(x)
