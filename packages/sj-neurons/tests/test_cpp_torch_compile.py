"""Fused neurons under torch.compile, torch.export, on the meta device and in torch's own checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sj_neurons import functional, neuron, surrogate
from sj_neurons.kernels import operators
from sj_neurons.kernels.trace import trace

T, N, C = 4, 3, 5

pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def values(*shape: int) -> Tensor:
    return 3.0 * torch.rand(shape, generator=torch.Generator().manual_seed(len(shape))) - 1.0


def net(backend: str, **options: Any) -> nn.Sequential:
    torch.manual_seed(0)
    function = surrogate.ATan()
    node = neuron.ParametricLIFNode(
        3.0, surrogate_function=function, step_mode="m", backend=backend, **options
    )
    return nn.Sequential(nn.Linear(C, 6), node, nn.Linear(6, 2))


def outcome(call: Any, module: nn.Sequential, x: Tensor) -> list[Tensor]:
    module.zero_grad()
    x = x.clone().requires_grad_(True)
    y = call(x)
    (y * values(*y.shape)).sum().backward()
    gradients = [p.grad.clone() for p in module.parameters() if p.grad is not None]
    return [y, module[1].v, x.grad, *gradients]  # pyright: ignore[reportReturnType]


def close(found: list[Tensor], wanted: list[Tensor]) -> None:
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "compiler", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)]
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.*:DeprecationWarning")  # inductor's
def test_one_graph_that_follows_sizes_and_states(compiler):
    module, reference = net("cpp"), net("torch")
    call = torch.compile(module, fullgraph=True, backend=compiler)
    for steps, samples in ((4, 3), (4, 3), (7, 3), (9, 3), (9, 5)):
        functional.reset_net(module)
        functional.reset_net(reference)
        x = values(steps, samples, C)
        for _ in range(2):  # the second call goes on from the state of the first
            close(outcome(call, module, x), outcome(reference, reference, x))
            functional.detach_net(module)
            functional.detach_net(reference)


def test_one_graph_that_follows_attributes():
    module, reference = net("cpp"), net("torch")
    call = torch.compile(module, fullgraph=True, backend="aot_eager")
    x = values(T, N, C)
    close(outcome(call, module, x), outcome(reference, reference, x))
    for name, value in (("v_threshold", 0.3), ("v_reset", None), ("alpha", 5.0)):
        for each in (module, reference):
            functional.reset_net(each)
            owner = each[1].surrogate_function if name == "alpha" else each[1]
            setattr(owner, name, value)
        close(outcome(call, module, x), outcome(reference, reference, x))


def test_sizes_that_vary_need_no_new_graph_each_time():
    module = net("cpp")
    graphs = 0

    def counting(graph: Any, inputs: Any) -> Any:
        nonlocal graphs
        graphs += 1
        return graph.forward

    call = torch.compile(module, fullgraph=True, backend=counting, dynamic=True)
    for steps in (2, 3, 5, 8, 13):
        functional.reset_net(module)
        call(values(steps, N, C))
    assert graphs <= 2


def test_single_steps():
    node = neuron.LIFNode(backend="cpp")
    reference = neuron.LIFNode()
    call = torch.compile(node, fullgraph=True, backend="aot_eager")
    for x in values(T, N, C):
        assert torch.equal(call(x), reference(x))
    assert torch.equal(node.v, reference.v)


def test_auto_compiles_to_a_kernel_or_to_torch():
    x = values(T, N, C)
    for dtype, fused in ((torch.float32, True), (torch.float16, False)):
        found: list[Any] = []

        def looking(graph: Any, inputs: Any, found: list[Any] = found) -> Any:
            found.extend(str(node.target) for node in graph.graph.nodes)
            return graph.forward

        node = neuron.LIFNode(step_mode="m", backend="auto")
        torch.compiler.reset()
        y = torch.compile(node, fullgraph=True, backend=looking)(x.to(dtype))
        assert torch.equal(y, neuron.LIFNode(step_mode="m")(x.to(dtype)))
        assert any("fused_forward" in target for target in found) == fused


def test_a_tensor_threshold_and_a_surrogate_of_its_own():
    for threshold in (torch.linspace(0.3, 1.0, C), nn.Parameter(torch.tensor(0.6))):
        node, reference = (
            neuron.LIFNode(step_mode="m", backend=backend, store_v_seq=True)
            for backend in ("cpp", "torch")
        )
        x = values(T, N, C)
        for each in (node, reference):
            del each.v_threshold
            each.v_threshold = threshold
        call = torch.compile(node, fullgraph=True, backend="aot_eager")
        assert torch.equal(call(x), reference(x))
        assert torch.equal(node.v_seq, reference.v_seq)


def test_export_holds_the_operator_and_starts_at_rest():
    node = neuron.LIFNode(tau=3.0, step_mode="m", backend="cpp")
    x = values(T, N, C)
    node(x)
    exported = torch.export.export(node, (x,))
    assert "sj_neurons.fused_forward" in str(exported.graph)
    assert torch.equal(exported.module()(x), neuron.LIFNode(tau=3.0, step_mode="m")(x))


def test_the_meta_device_needs_no_kernel():
    node = neuron.ParametricLIFNode(step_mode="m", backend="cpp", store_v_seq=True).to("meta")
    x = torch.empty(T, N, H := 4, C, device="meta").transpose(2, 3).requires_grad_(True)
    y = node(x)
    assert (y.shape, y.stride(), y.device.type) == ((T, N, C, H), x.stride(), "meta")
    assert node.v.is_meta and node.v_seq.is_meta
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert x.grad.stride() == x.stride()


# the operators


def arguments(dtype: torch.dtype, layout: str, repeat: int) -> tuple[Any, ...]:
    node = neuron.ParametricLIFNode(3.0)
    made = trace(node)
    x = values(1 if repeat else T, N, C, 2).to(dtype)
    if layout == "permuted":
        x = values(1 if repeat else T, 2, C, N).to(dtype).permute(0, 3, 2, 1)
    real = torch.float64 if dtype == torch.float64 else torch.float32
    start = values(N, C, 2).to(real).requires_grad_(True)
    weight = torch.tensor(0.4, dtype=real, requires_grad=True)
    others = [start, weight]
    settings = (repeat, made.program.text, list(made.numbers), [0.0], [0], True, "cpp")
    return (x.requires_grad_(True), others, *settings)


@pytest.mark.parametrize("repeat", [0, 3], ids=["sequence", "frame"])
@pytest.mark.parametrize(
    ("dtype", "layout"),
    [(torch.float32, "contiguous"), (torch.float64, "permuted"), (torch.bfloat16, "permuted")],
    ids=str,
)
def test_forward_operator_passes_the_checks_of_torch(dtype, layout, repeat):
    torch.library.opcheck(operators.fused_forward, arguments(dtype, layout, repeat))


@pytest.mark.parametrize("needed", [(True, True, True), (False, True, False), (True, False, True)])
@pytest.mark.parametrize("repeat", [0, 3], ids=["sequence", "frame"])
def test_backward_operator_passes_the_checks_of_torch(repeat, needed):
    x, others, *settings = arguments(torch.float32, "permuted", repeat)
    x, *others = (tensor.detach() for tensor in (x, *others))
    outputs = operators.fused_forward(x, others, *settings)
    gradients = [torch.rand_like(outputs[0]), torch.rand_like(outputs[2])]
    inputs = (gradients, [0, 2], list(needed), x, others, *settings)
    torch.library.opcheck(
        operators.fused_backward, inputs, test_utils=("test_schema", "test_faketensor")
    )
    found = operators.fused_backward(*inputs)
    assert len(found) == sum(needed)
