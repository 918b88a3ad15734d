"""Fused BatchNorm and neuron against torch's BatchNorm and the same neuron on the torch backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sj_neurons import neuron, surrogate
from sj_neurons.functional import batch_norm_module_neuron, batch_norm_neuron
from sj_neurons.kernels import cpp, trace
from sj_neurons.kernels.affine import with_affine_input

ATAN = surrogate.ATan()
NORMS = {3: nn.BatchNorm1d, 4: nn.BatchNorm1d, 5: nn.BatchNorm2d, 6: nn.BatchNorm3d}


def built(cls: Any, *args: Any, **options: Any) -> Callable[[], Any]:
    return lambda: cls(*args, surrogate_function=ATAN, step_mode="m", **options)


LIF = built(neuron.LIFNode, 2.0, detach_reset=True)
PLIF = built(neuron.ParametricLIFNode, 3.0, v_reset=None)


def smooth_plif() -> Any:
    smooth = surrogate.ATan(spiking=False)
    return neuron.ParametricLIFNode(2.0, v_reset=None, surrogate_function=smooth, step_mode="m")


@dataclass(frozen=True)
class Case:
    build: Callable[[], Any] = LIF
    shape: tuple[int, ...] = (5, 3, 8, 9, 7)
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    training: bool = True
    affine: bool = True
    tracked: bool = True
    repeated: bool = False
    initial: bool = False
    momentum: float | None = 0.1


CASES = {
    "lif": Case(),
    "channels-last": Case(channels_last=True),
    "channels-last-few-channels": Case(shape=(2, 3, 3, 6, 5), channels_last=True),
    "long-runs": Case(shape=(3, 2, 4, 13, 11)),
    "many-columns": Case(shape=(3, 4, 200, 3, 3)),
    "vectors": Case(shape=(6, 5, 24)),
    "sequences": Case(shape=(4, 3, 6, 10)),
    "volumes": Case(shape=(3, 2, 4, 3, 2, 5)),
    "one-channel": Case(shape=(4, 2, 1, 5, 5)),
    "one-step": Case(shape=(1, 3, 8, 9, 7)),
    "double": Case(dtype=torch.float64),
    "double-channels-last": Case(dtype=torch.float64, channels_last=True),
    "bf16": Case(dtype=torch.bfloat16),
    "bf16-channels-last": Case(dtype=torch.bfloat16, channels_last=True),
    "if": Case(built(neuron.IFNode)),
    "if-soft": Case(built(neuron.IFNode, v_reset=None)),
    "lif-not-detached": Case(built(neuron.LIFNode, 4.0, decay_input=False, v_reset=-0.25)),
    "lif-soft-detached": Case(built(neuron.LIFNode, 2.0, v_reset=None, detach_reset=True)),
    "plif": Case(PLIF),
    "plif-channels-last": Case(PLIF, channels_last=True),
    "izhikevich": Case(built(neuron.IzhikevichNode, a=0.3, b=0.2), dtype=torch.float64),
    "unfused-gated": Case(built(neuron.GatedLIFNode, T=5, inplane=8), dtype=torch.float64),
    "eval": Case(training=False),
    "eval-channels-last": Case(training=False, channels_last=True),
    "eval-plif-repeated": Case(PLIF, training=False, repeated=True),
    "not-affine": Case(affine=False),
    "not-tracked": Case(tracked=False),
    "not-tracked-eval": Case(tracked=False, training=False),
    "initial-state": Case(PLIF, initial=True),
    "repeated": Case(repeated=True),
    "repeated-channels-last": Case(PLIF, repeated=True, channels_last=True),
    "cumulative-average": Case(momentum=None),
}


@pytest.fixture(scope="module", autouse=True)
def kernels() -> None:
    """All kernels of this file, compiled in one go."""
    wanted = [(case.build, cpp.DTYPES[case.dtype]) for case in CASES.values()]
    wanted += [(smooth_plif, "float64"), (neuron.IFNode, "float32"), (neuron.LIFNode, "float32")]
    programs = [(trace.trace(build()).program.text, dtype) for build, dtype in wanted]
    normalised = [(with_affine_input(program), dtype) for program, dtype in programs]
    cpp.prepare([*programs, *normalised])


def prepared(case: Case) -> tuple[Tensor, Any, Any]:
    """A leaf `[T, N, C, *]` or `[1, N, C, *]`, a norm and a neuron on the torch backend."""
    torch.manual_seed(0)
    shape = (1, *case.shape[1:]) if case.repeated else case.shape
    x = (torch.randn(shape, dtype=torch.float64) * 1.5 + 0.7).to(case.dtype)
    if case.channels_last:
        flat = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        x = flat.unflatten(0, shape[:2])
    norm = NORMS[len(case.shape)](
        case.shape[2],
        affine=case.affine,
        track_running_stats=case.tracked,
        momentum=case.momentum,
    )
    with torch.no_grad():
        for vector in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            if vector is not None:
                vector.uniform_(0.5, 1.5)
    norm.train(case.training)
    node = case.build()
    if case.dtype == torch.float64:
        norm, node = norm.double(), node.double()
    node.store_v_seq = True
    return x, norm, node


@dataclass
class Outcome:
    spikes: Tensor
    v_seq: Tensor
    gradients: list[Tensor]
    buffers: list[Tensor]


def outcome(case: Case, backend: str, *, exact: bool = False) -> Outcome:
    """What comes out of two calls on one backend; `exact` computes all of it in float64."""
    x, norm, node = prepared(case)
    if exact:
        x, norm, node = x.double(), norm.double(), node.double()
    node.backend = backend
    leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    x_seq = leaf.expand(case.shape) if case.repeated else leaf
    if backend == "torch" and case.dtype == torch.bfloat16:
        x_seq = x_seq.double() if exact else x_seq.float()
    start = []
    if case.initial:
        real = x_seq.dtype if x_seq.dtype == torch.float64 else torch.float32
        generator = torch.Generator().manual_seed(2)
        v = torch.rand(case.shape[1:], generator=generator).to(real)
        start.append(v.requires_grad_())
        node.v = start[0]
    if backend == "torch":
        y = norm(x_seq.flatten(0, 1)).unflatten(0, x_seq.shape[:2])
        spikes = node(y)
    else:
        spikes = batch_norm_module_neuron(x_seq, norm, node)
    generator = torch.Generator().manual_seed(1)
    weights = torch.rand((2, *case.shape), generator=generator)
    loss = (spikes * weights[0]).sum() + 0.1 * (node.v_seq * weights[1]).sum()
    tensors = [leaf, *norm.parameters(), *node.parameters(), *start]
    gradients = [g.double() for g in torch.autograd.grad(loss, tensors)]
    buffers = [b.double() for b in norm.buffers()]
    return Outcome(spikes.detach().double(), node.v_seq.detach().double(), gradients, buffers)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_equals_batch_norm_and_neuron(case: Case) -> None:
    ours, theirs = outcome(case, "cpp"), outcome(case, "torch", exact=True)
    assert 0.02 < theirs.spikes.mean() < 0.9
    # no potential here is so near the threshold that rounding could decide
    assert torch.equal(ours.spikes, theirs.spikes)
    half = case.dtype == torch.bfloat16
    tolerance = {torch.float64: 1e-12, torch.float32: 4e-6, torch.bfloat16: 1e-2}[case.dtype]
    torch.testing.assert_close(ours.v_seq, theirs.v_seq, rtol=tolerance, atol=tolerance)
    of_x, *of_others = ours.gradients
    torch.testing.assert_close(of_x, theirs.gradients[0], rtol=tolerance, atol=tolerance)
    steps = theirs.spikes.numel() ** 0.5 if half else 1.0  # each gradient of the loss was rounded
    tolerance *= 1e-2 if half else 1.0
    for mine, reference in zip(of_others, theirs.gradients[1:], strict=True):
        near = {"rtol": tolerance, "atol": 10 * tolerance * steps}
        torch.testing.assert_close(mine, reference, **near)
    for mine, reference in zip(ours.buffers, theirs.buffers, strict=True):
        exactly = 1e-14 if case.dtype == torch.float64 else 3e-7
        torch.testing.assert_close(mine, reference, rtol=exactly, atol=exactly)


def test_the_layout_of_the_input_is_kept() -> None:
    x, norm, node = prepared(Case(channels_last=True))
    node.backend = "cpp"
    x.requires_grad_()
    spikes = batch_norm_module_neuron(x, norm, node)
    spikes.sum().backward()
    assert spikes.stride() == x.stride()
    assert x.grad is not None and x.grad.stride() == x.stride()


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[::2],
        lambda x: x[:, :, ::2],
        lambda x: x.transpose(0, 1),
        lambda x: x[:1].expand(5, -1, -1, -1),
    ],
    ids=["steps", "channels", "transposed", "expanded"],
)
def test_any_view_goes_in(view: Callable[[Tensor], Tensor]) -> None:
    results = []
    for copied in (False, True):
        x = torch.randn(6, 4, 8, 70, generator=torch.Generator().manual_seed(0))
        x.requires_grad_()
        seen = view(x)
        seen.retain_grad()  # somebody wants the gradient of each step
        x_seq = seen.contiguous() if copied else seen
        channels = x_seq.shape[2]
        buffers = [torch.zeros(channels), torch.ones(channels)]
        node = neuron.LIFNode(step_mode="m", backend="cpp")
        spikes = batch_norm_neuron(x_seq, node, *buffers, torch.full((channels,), 1.5))
        (spikes * torch.linspace(0, 1, 70)).sum().backward()
        results.append([spikes, x.grad, seen.grad, *buffers])
    torch.testing.assert_close(*results)


def test_states_go_on_from_call_to_call() -> None:
    whole, parts = (neuron.LIFNode(step_mode="m", backend="cpp") for _ in range(2))
    x = torch.randn(6, 2, 3, 4, 4)
    mean, var = torch.zeros(3), torch.ones(3)
    spikes = batch_norm_neuron(x, whole, mean, var, training=False)
    halves = [batch_norm_neuron(half, parts, mean, var, training=False) for half in x.split(3)]
    assert torch.equal(spikes, torch.cat(halves))
    assert torch.equal(whole.v, parts.v)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels_last", [False, True])
def test_gradients_of_the_smooth_neuron(training: bool, channels_last: bool) -> None:
    node = smooth_plif().double()
    node.backend = "cpp"
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 2, 2, 2, 3, generator=generator, dtype=torch.float64)
    if channels_last:
        x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (3, 2))
    v = torch.rand(2, 2, 2, 3, generator=generator, dtype=torch.float64)
    mean, var, weight, bias = torch.rand(4, 2, generator=generator, dtype=torch.float64).unbind()

    def run(x: Tensor, weight: Tensor, bias: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        node.v = v
        spikes = batch_norm_neuron(x, node, mean.clone(), var.clone(), weight, bias, training)
        return spikes, node.v

    inputs = [t.clone(memory_format=torch.preserve_format) for t in (x, weight, bias, v)]
    inputs = [t.requires_grad_() for t in inputs]
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


def test_a_frame_that_is_repeated_counts_as_often_as_it_is_seen() -> None:
    frame = torch.randn(1, 2, 3, 4, 4)
    node = neuron.IFNode(step_mode="m", backend="cpp")
    mean, var = torch.zeros(3), torch.zeros(3)
    batch_norm_neuron(frame.expand(5, -1, -1, -1, -1), node, mean, var, momentum=1.0)
    exact = frame.double()
    dims = (0, 1, 3, 4)
    n = 5 * 2 * 4 * 4
    torch.testing.assert_close(mean, exact.mean(dims).float())
    unbiased = exact.var(dims, correction=0) * n / (n - 1)
    torch.testing.assert_close(var, unbiased.float())


@pytest.mark.parametrize("shape", [(4, 16, 8, 20, 20), (40, 16, 6)])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1e3, -1e6])
def test_statistics_are_accurate_far_from_zero(
    shape: tuple[int, ...], channels_last: bool, offset: float
) -> None:
    x = torch.randn(shape) + offset
    x[0, 0, :] += 50.0  # the first value of each channel is an outlier
    if channels_last and len(shape) == 5:
        x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, shape[:2])
    mean, var = torch.zeros(shape[2]), torch.zeros(shape[2])
    node = neuron.IFNode(step_mode="m", backend="cpp")
    batch_norm_neuron(x, node, mean, var, momentum=1.0)
    dims = [d for d in range(len(shape)) if d != 2]
    variance, average = torch.var_mean(x.double(), dims)
    torch.testing.assert_close(mean.double(), average, rtol=2e-7, atol=1e-7)
    torch.testing.assert_close(var.double(), variance, rtol=2e-7, atol=0.0)


def test_only_the_input_is_saved() -> None:
    x = torch.randn(4, 2, 8, 16, 16, requires_grad=True)
    norm, node = nn.BatchNorm2d(8), neuron.LIFNode(step_mode="m", backend="cpp")
    saved: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        spikes = batch_norm_module_neuron(x, norm, node)
    large = [tensor for tensor in saved if tensor.numel() > 8]
    assert [tensor.data_ptr() for tensor in large] == [x.data_ptr()]
    assert sum(t.numel() * t.element_size() for t in large) == 4 * spikes.numel()


def test_a_graph_can_be_walked_twice_and_for_some_tensors_only() -> None:
    x = torch.randn(4, 2, 3, 5, 5)
    weight = torch.rand(3, requires_grad=True)
    node = neuron.LIFNode(step_mode="m", backend="cpp")
    spikes = batch_norm_neuron(x, node, None, None, weight)
    first = torch.autograd.grad(spikes.sum(), weight, retain_graph=True)
    assert torch.equal(*first, *torch.autograd.grad(spikes.sum(), weight))


def test_a_batch_of_gradients() -> None:
    x = torch.randn(3, 2, 2, 4, requires_grad=True)
    node = neuron.LIFNode(step_mode="m", backend="cpp")
    spikes = batch_norm_neuron(x, node, None, None)
    several = torch.randn(2, *spikes.shape)
    (together,) = torch.autograd.grad(spikes, x, several, retain_graph=True, is_grads_batched=True)
    one_by_one = [torch.autograd.grad(spikes, x, one, retain_graph=True)[0] for one in several]
    torch.testing.assert_close(together, torch.stack(one_by_one))


def test_several_threads_give_the_same_numbers() -> None:
    case = Case(shape=(4, 8, 16, 24, 24))
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(outcome(case, "cpp"))
    finally:
        torch.set_num_threads(before)
    one, two = results
    for mine, other in zip(one.gradients, two.gradients, strict=True):
        assert torch.equal(mine, other)
    assert torch.equal(one.spikes, two.spikes)
