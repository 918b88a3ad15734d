"""Normalized potentials: a written-out reference, and the folded neuron against the unfolded."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from sj_neurons import neuron, surrogate

T, N, C = 5, 4, 3


def sequence(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.randn(T, *shape, generator=torch.Generator().manual_seed(seed)).double()


def build(planar: bool = False, **options) -> neuron.MPBNLIFNode:
    channels = {"out_channels": C} if planar else {"out_features": C}
    node = neuron.MPBNLIFNode(**channels, step_mode="m", **options).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in node.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator).double())
    return node


def shape_of(planar: bool) -> tuple[int, ...]:
    return (N, C, 2, 2) if planar else (N, C)


PLANAR = pytest.mark.parametrize("planar", [False, True], ids=["features", "channels"])
RESETS = pytest.mark.parametrize("v_reset", [0.0, -0.5, None], ids=["hard", "offset", "soft"])


@PLANAR
@RESETS
@pytest.mark.parametrize("learnable_vth", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_gradients_equal_an_independent_reference_in_float64(
    planar, v_reset, learnable_vth, training
):
    node = build(
        planar,
        tau=3.0,
        v_threshold=0.6,
        v_reset=v_reset,
        surrogate_function=surrogate.ATan(),
        learnable_vth=learnable_vth,
    ).train(training)
    over = (0, 2, 3) if planar else (0,)
    view = (1, C, 1, 1) if planar else (1, C)
    mean, var = (node.vbn.running_mean.clone(), node.vbn.running_var.clone())
    x = sequence(*shape_of(planar)).requires_grad_(True)
    g = sequence(*shape_of(planar), seed=2)
    inputs = (x, *node.parameters())
    y = node(x)
    ours = torch.autograd.grad((y * g).sum(), inputs)

    theta = node.a.exp().view(view) if learnable_vth else 0.6
    rest = v_reset or 0.0
    v, total = torch.full(shape_of(planar), rest).double(), torch.zeros((), dtype=torch.float64)
    for t in range(T):
        h = v - (v - rest) / 3.0 + x[t]
        if training:
            mean, var = h.mean(over), h.var(over, unbiased=False)
        h = (h - mean.view(view)) / torch.sqrt(var.view(view) + 1e-5)
        h = h * node.vbn.weight.view(view) + node.vbn.bias.view(view)
        smooth = torch.atan(math.pi * (h - theta)) / math.pi + 0.5
        spike = smooth + ((h >= theta).double() - smooth).detach()
        v = h - spike * theta if v_reset is None else spike * v_reset + (1 - spike) * h
        assert torch.equal(y[t], (h >= theta).double())
        total = total + (spike * g[t]).sum()
    for mine, reference in zip(ours, torch.autograd.grad(total, inputs), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-8, atol=1e-10)


@PLANAR
@RESETS
@pytest.mark.parametrize("learnable_vth", [False, True])
def test_folded_neuron_that_keeps_the_normalized_potential_is_the_same(
    planar, v_reset, learnable_vth
):
    node = build(planar, v_reset=v_reset, learnable_vth=learnable_vth)
    x = sequence(*shape_of(planar))
    node(x)  # moves the running statistics
    with torch.no_grad():
        node.vbn.weight[0] = -1.2  # turns the order of potentials around
    node.reset()
    folded = copy.deepcopy(node.eval())
    folded.re_parameterize_v_threshold(normalize_residual=True)
    assert isinstance(folded.vbn, nn.Identity) and folded.fold_bn
    y = node(x)
    assert torch.equal(folded(x), y)
    assert 0 < y.mean() < 1
    torch.testing.assert_close(folded.v, node.v)


def test_folded_threshold_is_the_potential_that_the_normalization_maps_to_the_threshold():
    node = build(v_threshold=0.6)
    node(sequence(N, C))
    with pytest.raises(RuntimeError, match="call re_parameterize_v_threshold"):
        node.folded_threshold()
    vbn = node.vbn.eval()
    node.re_parameterize_v_threshold()
    mapped = vbn(node.folded_threshold().unsqueeze(0))
    torch.testing.assert_close(mapped, torch.full((1, C), 0.6).double())


def test_folded_neuron_without_residual_keeps_the_potential_itself():
    node = build(v_threshold=0.6).eval()
    node.re_parameterize_v_threshold()
    x = sequence(N, C)[:1]
    spike = node(x)
    h = x[0]  # the first charge, from 0
    assert torch.equal(spike[0], (h >= node.folded_threshold()).double())
    torch.testing.assert_close(node.v, torch.where(spike[0] == 1, 0.0, h))


@PLANAR
def test_statistics_of_a_folded_neuron_follow_the_batch_in_training_only(planar):
    node = build(planar)
    node.re_parameterize_v_threshold()
    x = sequence(*shape_of(planar))[:1]
    before = node.mu.clone()
    node.eval()(x)
    assert torch.equal(node.mu, before)
    node.reset()
    node.train()(x)
    over = (0, 2, 3) if planar else (0,)
    torch.testing.assert_close(node.mu, x[0].mean(over))
    torch.testing.assert_close(node.sigma2, x[0].var(over))
    assert {name for name, _ in node.named_parameters()} == {"gamma", "beta"}


def test_statistics_may_follow_slowly_with_a_falling_weight():
    node = build(bn_momentum=0.2, bn_decay_momentum=0.5, bn_min_momentum=0.08)
    node.re_parameterize_v_threshold(running_stats=True)
    node.step_mode = "s"
    mu, x = node.mu.clone(), sequence(N, C)
    for weight, x_t in zip((0.2, 0.1, 0.08, 0.08), x, strict=False):
        assert node.bn_momentum == weight
        mu = (1 - weight) * mu + weight * x_t.mean(0)
        node(x_t)
        node.reset()
        torch.testing.assert_close(node.mu, mu)


def test_a_single_sample_leaves_the_statistics_alone():
    node = build()
    node.re_parameterize_v_threshold()
    before = node.mu.clone()
    node(sequence(1, C))
    assert torch.equal(node.mu, before)


def test_a_learned_threshold_is_kept_but_learned_no_more():
    node = build(learnable_vth=True)
    node.re_parameterize_v_threshold()
    assert not node.learnable_vth and not node.a.requires_grad
    assert set(node.state_dict()) == {"a", "gamma", "beta", "mu", "sigma2"}
    twin = build(learnable_vth=True)
    twin.re_parameterize_v_threshold()
    with torch.no_grad():
        node.gamma.mul_(2)
    twin.load_state_dict(node.state_dict())
    x = sequence(N, C)
    assert torch.equal(twin.eval()(x), node.eval()(x))


def test_without_normalization_it_is_a_lif():
    node = build(mpbn=False, v_reset=None, tau=4, decay_input=True)
    lif = neuron.LIFNode(4, True, v_reset=None, step_mode="m")
    x = sequence(N, C)
    assert torch.equal(node(x), lif(x))
    node.re_parameterize_v_threshold()
    assert not node.fold_bn


def test_single_steps_update_the_statistics_as_a_sequence_does():
    single, multi = build(), build()
    single.step_mode = "s"
    x = sequence(N, C)
    assert torch.equal(torch.stack([single(x_t) for x_t in x]), multi(x))
    assert torch.equal(single.vbn.running_var, multi.vbn.running_var)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: neuron.MPBNLIFNode(), ValueError, "exactly one of out_features .*None and None"),
        (
            lambda: neuron.MPBNLIFNode(out_features=1, out_channels=2),
            ValueError,
            "got 1 and 2",
        ),
        (lambda: neuron.MPBNLIFNode(out_features=0), ValueError, "out_features must be at least"),
        (lambda: neuron.MPBNLIFNode(out_channels=1.5), TypeError, "out_channels must be a whole"),
        (lambda: neuron.MPBNLIFNode(1, out_features=2), ValueError, "tau must be greater"),
        (
            lambda: neuron.MPBNLIFNode(out_features=2, bn_momentum="x"),
            TypeError,
            "bn_momentum must be a number",
        ),
        (
            lambda: neuron.MPBNLIFNode(out_features=2)(torch.ones(1, 2, 3, 3)),
            ValueError,
            r"expected an input \[N, C\] per step, got \(1, 2, 3, 3\)",
        ),
        (
            lambda: neuron.MPBNLIFNode(out_channels=2)(torch.ones(1, 2)),
            ValueError,
            r"expected an input \[N, C, H, W\] per step",
        ),
        (
            lambda: neuron.MPBNLIFNode(out_features=2, backend="cupy"),
            NotImplementedError,
            "not a supported backend of MPBNLIFNode",
        ),
    ],
)
def test_bad_arguments_and_inputs_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
