"""Backend 'cpp' on tensors of any layout: values as on 'torch', in the layout of the input."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sj_neurons import neuron, surrogate
from sj_neurons.kernels.layout import Rows, Spread, broadcasts, is_dense

T, N, C, H, W = 4, 3, 5, 4, 6


def values(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(len(shape))
    return (3.0 * torch.rand(shape, generator=generator) - 1.0).to(dtype)


LAYOUTS: dict[str, Callable[[], Tensor]] = {
    "contiguous": lambda: values(T, N, C, H, W),
    "channels_last": lambda: values(T, N, H, W, C).permute(0, 1, 4, 2, 3),
    "batch_last": lambda: values(T, C, H, W, N).permute(0, 4, 1, 2, 3),
    "reversed": lambda: values(T, W, H, C, N).permute(0, 4, 3, 2, 1),
    "time_last": lambda: values(N, C, H, W, T).permute(4, 0, 1, 2, 3),
    "time_second": lambda: values(N, T, C, H, W).transpose(0, 1),
    "every_other_step": lambda: values(2 * T, N, C, H, W)[::2],
    "some_steps": lambda: values(9, N, C, H, W)[2 : 2 + T],
    "rows_with_gaps": lambda: values(T, N, C, H, 2 * W)[..., ::2],
    "some_neurons": lambda: values(T, N, C, H + 3, W)[:, :, :, 1 : H + 1],
    "some_samples": lambda: values(T, 2 * N, C, H, W)[:, N:],
    "offset": lambda: values(T * N * C * H * W + 1)[1:].view(T, N, C, H, W),
    "one_frame": lambda: values(N, C, H, W).expand(T, N, C, H, W),
    "one_frame_channels_last": lambda: (
        values(N, H, W, C).permute(0, 3, 1, 2).unsqueeze(0).expand(T, -1, -1, -1, -1)
    ),
    "one_frame_with_gaps": lambda: values(N, C, H, 2 * W)[..., ::2].expand(T, N, C, H, W),
    "one_sample": lambda: values(T, 1, C, H, W).expand(T, N, C, H, W),
    "one_number": lambda: values(1, 1, 1, 1, 1).expand(T, N, C, H, W),
    "one_step": lambda: values(1, N, C, H, W),
    "no_samples": lambda: values(T, 0, C, H, W),
}
NODES: dict[str, Callable[[], neuron.BaseNode]] = {
    "LIF": lambda: neuron.LIFNode(2.0, surrogate_function=surrogate.ATan(), detach_reset=True),
    "PLIF": lambda: neuron.ParametricLIFNode(3.0, v_reset=None),
    "per channel": lambda: neuron.IFNode(torch.linspace(0.5, 2.0, C).view(C, 1, 1)),
    "per column": lambda: neuron.IFNode(torch.linspace(0.5, 2.0, W)),
    "per neuron": lambda: neuron.IFNode(values(C, H, W).abs() + 0.3),
    "torn": lambda: neuron.IFNode(values(C, 1, W).abs() + 0.3),
}


def run(make: Callable[[], neuron.BaseNode], backend: str, x: Tensor) -> list[Tensor]:
    """Output, potentials, state, and gradients of x and of whatever the neuron learns."""
    node = make()
    threshold = node.v_threshold
    if isinstance(threshold, Tensor):
        del node.v_threshold
        node.v_threshold = torch.nn.Parameter(threshold.clone())
    node.step_mode, node.store_v_seq, node.backend = "m", True, backend
    x = x.detach().requires_grad_(True)
    y = node(x)
    weights = values(*y.shape)
    loss = (y * weights).sum() + (node.v_seq * weights.flip(0)).sum() + (node.v**2).sum()
    gradients = torch.autograd.grad(loss, (x, *node.parameters()))
    return [y, node.v_seq, node.v, *gradients]


def strides_of(x: Tensor) -> list[int]:
    """Strides of what has any, within a step."""
    return [stride for stride, size in zip(x.stride()[1:], x.shape[1:], strict=True) if size > 1]


@pytest.mark.parametrize("make", NODES.values(), ids=NODES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_values_are_those_of_torch(layout, make):
    x = LAYOUTS[layout]()
    wanted, found = run(make, "torch", x), run(make, "cpp", x)
    for place, (a, b) in enumerate(zip(found, wanted, strict=True)):
        if place < 3:
            assert torch.equal(a, b)
        else:
            torch.testing.assert_close(a, b, rtol=2e-6, atol=5e-6)


@pytest.mark.parametrize("layout", ["channels_last", "batch_last", "reversed", "every_other_step"])
def test_dense_layouts_are_kept(layout):
    x = LAYOUTS[layout]()
    y, v_seq, v, grad_x = run(NODES["LIF"], "cpp", x)
    for sequence in (y, v_seq, grad_x):
        assert strides_of(sequence) == strides_of(x)
    assert strides_of(v.unsqueeze(0)) == strides_of(x)
    if layout == "channels_last":
        assert y.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("neurons", [1, 7, 15, 16, 17, 127, 128, 129, 513, 1000])
@pytest.mark.parametrize("steps", [1, 2, 33])
@pytest.mark.parametrize("name", ["LIF", "PLIF"])
def test_odd_sizes(name, steps, neurons):
    x = values(steps, neurons)
    for place, (a, b) in enumerate(
        zip(run(NODES[name], "cpp", x), run(NODES[name], "torch", x), strict=True)
    ):
        if place < 3:
            assert torch.equal(a, b)
        else:
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_a_step_without_neurons():
    x = values(T, N, C, 0)
    for a, b in zip(run(NODES["PLIF"], "cpp", x), run(NODES["PLIF"], "torch", x), strict=True):
        assert torch.equal(a, b)


def test_long_sequences_shrink_the_block():
    x = values(3000, 37)
    for a, b in zip(run(NODES["LIF"], "cpp", x), run(NODES["LIF"], "torch", x), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-6)


def test_large_tensors_whose_rows_are_not_aligned():
    # past 16 MiB outputs are written around the caches
    x = values(5, 900_001)
    for a, b in zip(run(NODES["LIF"], "cpp", x), run(NODES["LIF"], "torch", x), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", ["expanded leaf", "frame", "kept", "no graph", "other graph"])
def test_gradients_of_one_frame(kind):
    found = []
    for backend in ("torch", "cpp"):
        node = neuron.LIFNode(step_mode="m", backend=backend)
        frame = values(N, C)
        if kind == "expanded leaf":
            wanted = x = frame.expand(T, N, C).requires_grad_(True)
        elif kind == "no graph":
            wanted = frame.requires_grad_(True)
            x = frame.expand(T, N, C).detach()
            assert not node(x).requires_grad
            found.append(torch.zeros(()))
            continue
        else:
            wanted = frame.requires_grad_(True)
            x = (2.0 * frame if kind == "other graph" else frame).expand(T, N, C)
        if kind == "kept":
            x.retain_grad()
            wanted = x
        (node(x) * values(T, 1, 1)).sum().backward()
        found.append(wanted.grad)
    torch.testing.assert_close(found[1], found[0])


def test_a_strided_gradient_comes_in():
    found = []
    for backend in ("torch", "cpp"):
        node = neuron.LIFNode(step_mode="m", backend=backend)
        x = values(T, N, C, H, W).requires_grad_(True)
        y = node(x)
        gradients = [values(T, N, H, W, C).permute(0, 1, 4, 2, 3), torch.ones(1).expand_as(y)]
        found.append([torch.autograd.grad(y, x, g, retain_graph=True)[0] for g in gradients])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-6)


def test_states_of_another_layout_and_type():
    found = []
    for backend in ("torch", "cpp"):
        node = neuron.LIFNode(step_mode="m", backend=backend)
        node.v = start = values(H, C, N, dtype=torch.float64).permute(2, 1, 0).requires_grad_(True)
        y = node(values(T, N, C, H))
        (y * values(T, N, C, H)).sum().backward()
        found.append((y, node.v, start.grad))
    assert found[1][2].dtype == torch.float64
    assert torch.equal(found[0][0], found[1][0])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_the_gradient_of_every_parameter_is_exact_to_the_sum_of_its_terms():
    # the threshold of a neuron of its own shows the terms; the shared one must be their sum
    x = values(20, 64, 129).double()
    weights = values(20, 64, 129)

    def gradient(shape: tuple[int, ...], backend: str, dtype: torch.dtype) -> Tensor:
        threshold = torch.nn.Parameter(torch.full(shape, 0.7, dtype=dtype))
        node = neuron.LIFNode(v_reset=None, step_mode="m", backend=backend)
        del node.v_threshold
        node.v_threshold = threshold
        (node(x.to(dtype)) * weights.to(dtype)).sum().backward()
        assert threshold.grad is not None
        return threshold.grad.double()

    terms = gradient((64, 129), "torch", torch.float64)
    for shape, dims in (((), (0, 1)), ((129,), (0,)), ((64, 1), (1,))):
        wanted, size = terms.sum(dims), terms.abs().sum(dims)
        found = gradient(shape, "cpp", torch.float32).reshape(wanted.shape)
        assert ((found - wanted).abs() <= 1e-5 * size).all()


# the pieces


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4).flatmap(
        lambda sizes: st.tuples(
            st.just(sizes), st.permutations(range(len(sizes))),
            st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)),
            st.integers(0, len(sizes)),
        )
    )
)  # fmt: skip
def test_a_spread_parameter_meets_every_neuron(made):
    sizes, order, shared, dropped = made
    memory = torch.empty([2, *(sizes[d] for d in order)])
    back = [order.index(d) for d in range(len(sizes))]
    x_seq = memory.permute(0, *(1 + d for d in back))
    assert list(x_seq.shape[1:]) == sizes
    rows, flat = Rows.of(x_seq)
    assert flat.data_ptr() == x_seq.data_ptr()
    shape = [1 if s else size for s, size in zip(shared, sizes, strict=True)][dropped:]
    parameter = torch.arange(float(torch.Size(shape).numel())).view(shape)
    assert broadcasts(shape, sizes)
    spread = Spread.over(parameter, rows)
    neurons = torch.arange(rows.neurons)
    by_neuron = spread.values[(neurons // spread.inner) % spread.size]
    assert torch.equal(by_neuron, rows.fitting_step(parameter.expand(sizes), torch.float32))
    ones = torch.zeros(1, spread.size).index_add_(
        1, (neurons // spread.inner) % spread.size, torch.ones(1, rows.neurons)
    )
    gradient = spread.gradient(ones, rows, torch.float32)
    assert gradient.shape == parameter.shape
    assert (gradient == rows.neurons // max(1, parameter.numel())).all()


@pytest.mark.parametrize(
    ("shape", "to", "answer"),
    [((), (2, 3), True), ((3,), (2, 3), True), ((2, 1), (2, 3), True), ((1, 2, 3), (2, 3), False),
     ((2,), (2, 3), False), ((2, 3), (1, 3), False), ((0,), (2, 0), True)],
)  # fmt: skip
def test_broadcasts(shape, to, answer):
    assert broadcasts(shape, to) is answer


def test_dense():
    assert is_dense((2, 3), (3, 1))
    assert is_dense((2, 3), (1, 2))
    assert is_dense((2, 1, 3), (3, 77, 1))
    assert not is_dense((2, 3), (6, 2))
    assert not is_dense((2, 3), (0, 1))
