"""Parallel neurons: weights over time against loops written out, masks, queues and messages."""

import copy
import math
import pickle

import pytest
import torch
from torch import Tensor

from sj_neurons import base, neuron, surrogate

T, N, C = 6, 2, 3


@pytest.fixture
def x() -> Tensor:
    return 3 * torch.rand(T, N, C, generator=torch.Generator().manual_seed(0)) - 0.5


def build(kind: str, backend: str = "gemm") -> base.MemoryModule:
    torch.manual_seed(1)
    if kind == "PSN":
        return neuron.PSN(T).double()
    if kind == "open":
        return neuron.MaskedPSN(2, T, 0.4, step_mode="m").double()
    if kind == "closed":
        return neuron.MaskedPSN(2, T, 1.0, step_mode="m").double()
    return neuron.SlidingPSN(2, False, step_mode="m", backend=backend).double()


def weight_between(node: base.MemoryModule, t: int, i: int) -> Tensor | float:
    """The weight of input i in the potential of step t, by definition."""
    weight = node.weight
    if isinstance(node, neuron.PSN):
        return weight[t, i]
    inside = 0 <= t - i < node.k
    if isinstance(node, neuron.SlidingPSN):
        return weight[node.k - 1 - (t - i)] if inside else 0.0
    mask = 1.0 if inside else 1.0 - min(node.lambda_, 1.0)
    return mask * weight[t, i]


CASES = pytest.mark.parametrize(
    ("kind", "backend"),
    [("PSN", ""), ("open", ""), ("closed", ""), ("sliding", "gemm"), ("sliding", "conv")],
)


@CASES
def test_gradients_equal_an_independent_reference_in_float64(kind, backend, x):
    node = build(kind, backend)
    x = x.double().requires_grad_(True)
    g = torch.rand(T, N, C, generator=torch.Generator().manual_seed(2)).double()
    y = node(x)
    inputs = (x, node.weight, node.bias)
    ours = torch.autograd.grad((y * g).sum(), inputs)
    total = torch.zeros((), dtype=torch.float64)
    for t in range(T):
        bias = node.bias if node.bias.dim() == 0 else node.bias[t]
        h = bias + sum(weight_between(node, t, i) * x[i] for i in range(T))
        assert torch.equal(y[t], (h >= 0).double())
        smooth = torch.atan(math.pi * h) / math.pi + 0.5
        total = total + (smooth * g[t]).sum()
    for mine, reference in zip(ours, torch.autograd.grad(total, inputs), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["closed", "sliding"])
def test_a_sequence_step_by_step_gives_the_same_spikes(kind, x):
    node = build(kind).float()
    node.surrogate_function.set_spiking_mode(False)
    whole = node(x)
    assert node.queue == []
    node.step_mode = "s"
    torch.testing.assert_close(torch.stack([node(x_t) for x_t in x]), whole)
    assert node.queue.shape == (2, N, C)
    assert torch.equal(node.queue, x[-2:])


@pytest.mark.parametrize("k", [1, 3, T, T + 3])
def test_both_backends_agree_for_windows_of_any_length(k, x):
    gemm = neuron.SlidingPSN(k, surrogate_function=surrogate.ATan(spiking=False), step_mode="m")
    conv = copy.deepcopy(gemm)
    conv.backend = "conv"
    torch.testing.assert_close(conv(x), gemm(x))
    assert gemm.supported_backends == ("gemm", "conv")
    with pytest.raises(NotImplementedError, match="torch is not a supported backend of SlidingPSN"):
        gemm.backend = "torch"


def test_exponential_start_halves_back_in_time():
    assert neuron.SlidingPSN(4).weight.tolist() == [0.125, 0.25, 0.5, 1.0]
    assert neuron.SlidingPSN(4).bias.item() == -1.0


def test_psn_looks_ahead_and_a_closed_mask_does_not(x):
    later = x.clone()
    later[-1] += 1.0
    for kind, looks_ahead in (("PSN", True), ("open", True), ("closed", False)):
        node = build(kind).float()
        node.surrogate_function.set_spiking_mode(False)
        assert torch.equal(node(later)[:-1], node(x)[:-1]) is not looks_ahead


def test_mask_closes_with_lambda_and_stays_closed():
    node = neuron.MaskedPSN(2, T)
    assert torch.equal(node.masked_weight(), node.weight)
    for value in (1.0, 2, torch.tensor(5.0)):
        node.lambda_ = value
        assert node.lambda_ == float(value)
        assert torch.equal(node.masked_weight(), node.weight * node.mask0)
    assert node.mask0.tolist()[2] == [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("build", [lambda: neuron.MaskedPSN(3, T, 1), lambda: neuron.SlidingPSN(3)])
def test_the_queue_is_copied_detached_moved_and_reset(clone, build, x):
    node = build()
    first = node(x[0].requires_grad_(True))
    twin = clone(node)
    assert torch.equal(twin(x[1]), node(x[1]))
    node.detach()
    assert not node.queue.requires_grad
    assert node.double().queue.dtype == torch.float64
    node.float().reset()
    assert node.queue == []
    assert torch.equal(node(x[0]), first)


def test_masked_neuron_steps_only_with_a_closed_mask_and_within_its_steps(x):
    node = neuron.MaskedPSN(2, T, lambda_init=0.5)
    with pytest.raises(ValueError, match=r"lambda_ >= 1.*lambda_ is 0\.5"):
        node(x[0])
    node.lambda_ = 1.0
    for x_t in x:
        node(x_t)
    assert node.time_step == T
    with pytest.raises(OverflowError, match=r"T = 6 steps, this is step 7; call reset\(\)"):
        node(x[0])
    node.reset()
    node(x[0])


@pytest.mark.parametrize("node", [neuron.MaskedPSN(2, T, 1.0), neuron.SlidingPSN(2)])
def test_new_shape_without_reset_is_refused(node, x):
    node(x[0])
    with pytest.raises(ValueError, match=r"input \(1, 3\).*state \(2, 3\).*reset\(\)"):
        node(x[0, :1])
    node.reset()
    with pytest.raises(ValueError, match="single number"):
        node(torch.tensor(1.0))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: neuron.PSN(0), ValueError, "PSN: T must be at least 1, got 0"),
        (lambda: neuron.PSN(2.5), TypeError, "PSN: T must be a whole number, got 2.5"),
        (lambda: neuron.PSN(2, 3), TypeError, "surrogate_function must be callable"),
        (lambda: neuron.MaskedPSN(7, 6), ValueError, "k must not exceed T = 6"),
        (lambda: neuron.MaskedPSN(2, 6, -1), ValueError, "lambda_ must be at least 0, got -1"),
        (lambda: neuron.MaskedPSN(2, 6, "1"), TypeError, "lambda_ must be a number"),
        (lambda: neuron.SlidingPSN(0), ValueError, "SlidingPSN: k must be at least 1"),
        (lambda: neuron.SlidingPSN(2, backend="fft"), NotImplementedError, "fft is not"),
        (lambda: neuron.PSN(4)(torch.ones(3, 2)), ValueError, "T = 4 steps, got 3 in shape"),
        (lambda: neuron.PSN(4)(torch.ones(4)), ValueError, r"\[T, N, \*\] with T > 0"),
        (
            lambda: neuron.SlidingPSN(2, step_mode="m")(torch.ones(0, 2)),
            ValueError,
            r"T > 0, got shape \(0, 2\)",
        ),
    ],
)
def test_bad_arguments_and_inputs_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_psn_has_no_single_steps():
    with pytest.raises(ValueError, match="PSN: step_mode can only be"):
        neuron.PSN(4).step_mode = "s"


@pytest.mark.parametrize("mode", ["s", "m"])
def test_integer_input_is_accepted(mode):
    node = neuron.SlidingPSN(2, step_mode=mode)
    assert node(torch.ones(3, 2, dtype=torch.int64)).dtype == torch.get_default_dtype()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize(
    "build",
    [
        lambda mode: neuron.MaskedPSN(2, T, 1.0, step_mode=mode),
        lambda mode: neuron.SlidingPSN(2, step_mode=mode),
    ],
)
def test_autocast_runs_both_modes_in_its_own_precision(build, mode, dtype, x):
    node = build(mode)
    x = x.to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = [node(x)] if mode == "m" else [node(x_t) for x_t in x]
    assert {y.dtype for y in outputs} == {torch.bfloat16}
