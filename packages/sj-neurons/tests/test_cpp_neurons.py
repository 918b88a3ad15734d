"""Every neuron that is a scalar recurrence on backend 'cpp', against the same neuron on 'torch'.

Steps of + - * / comparisons and choices give equal bits in float32 and float64. Where the step
itself takes exp, sin and the like, libraries differ in the last bits, and the states may by a few
units of them. In bfloat16 the reference is the torch backend on `x.float()`, rounded once.

Kernels of one class are compiled together. The choice of combinations keeps a first run short; all
of them run with `-m slow`.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from sj_neurons import neuron, surrogate
from sj_neurons.kernels import cpp
from sj_neurons.kernels.trace import trace
from sj_neurons.neuron.base import BaseNode

THRESHOLDS = torch.linspace(0.4, 1.3, 43)
EXAMPLES: dict[type, Callable[..., BaseNode]] = {
    neuron.ActivationAwareIFNode: lambda **k: neuron.ActivationAwareIFNode(THRESHOLDS, 0.1, **k),
    neuron.CUBALIFNode: neuron.CUBALIFNode,
    neuron.ComplementaryLIFNode: neuron.ComplementaryLIFNode,
    neuron.EIFNode: neuron.EIFNode,
    neuron.GatedLIFNode: lambda **k: neuron.GatedLIFNode(T=5, inplane=3, **k),
    neuron.HalfThresholdIFNode: neuron.HalfThresholdIFNode,
    neuron.IFNode: neuron.IFNode,
    neuron.ILIFNode: neuron.ILIFNode,
    neuron.IzhikevichNode: lambda **k: neuron.IzhikevichNode(a=0.3, b=0.2, **k),
    neuron.KLIFNode: neuron.KLIFNode,
    neuron.LIAFNode: lambda **k: neuron.LIAFNode(torch.sigmoid, True, **k),
    neuron.LIFNode: lambda **k: neuron.LIFNode(tau=3.0, **k),
    neuron.ParametricLIFNode: lambda **k: neuron.ParametricLIFNode(init_tau=3.0, **k),
    neuron.QIFNode: neuron.QIFNode,
    neuron.RAFNode: neuron.RAFNode,
    neuron.STBIFNeuron: lambda **k: neuron.STBIFNeuron(0.7, 4, **k),
    neuron.TernaryIFNode: neuron.TernaryIFNode,
    neuron.TernaryLIFNode: neuron.TernaryLIFNode,
}
ABSTRACT = {neuron.BaseNode, neuron.AdaptBaseNode}
RESETS = {"hard": 0.0, "offset": -0.2, "soft": None}
DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}
LIBRARY = {"exp", "log", "pow", "sin", "cos", "tanh", "sigmoid", "atan", "erf"}


def fused_classes() -> set[type]:
    found = [getattr(neuron, name) for name in neuron.__all__]
    classes = [cls for cls in found if inspect.isclass(cls) and issubclass(cls, BaseNode)]
    return {cls for cls in classes if "cpp" in cls.supported_backends.fget(None)} - ABSTRACT


def build(cls: type, reset: str, detach: bool) -> BaseNode:
    torch.manual_seed(0)
    taken = inspect.signature(cls).parameters
    options: dict[str, Any] = {"v_reset": RESETS[reset], "detach_reset": detach}
    options = {name: value for name, value in options.items() if name in taken}
    return EXAMPLES[cls](step_mode="m", store_v_seq=True, **options)


def combinations(cls: type) -> list[tuple[str, str, bool]]:
    taken = inspect.signature(cls).parameters
    resets = RESETS if "v_reset" in taken else ["soft"]
    detached = (False, True) if "detach_reset" in taken else (False,)
    return list(itertools.product(DTYPES, resets, detached))


def is_quick(cls: type, dtype: str, reset: str, detach: bool) -> bool:
    """All in float32; in the other types two resets, each with one way to detach."""
    if dtype == "float32":
        return True
    left_out = "hard" if dtype == "float64" else "offset"
    both = (dtype, reset, True) in combinations(cls)
    return reset != left_out and (not both or detach == ((dtype == "float64") == (reset == "soft")))


CASES = [
    pytest.param(
        cls,
        *case,
        marks=() if is_quick(cls, *case) else pytest.mark.slow,
        id=f"{cls.__name__}-{case[0]}-{case[1]}-{'detached' if case[2] else 'attached'}",
    )
    for cls in EXAMPLES
    for case in combinations(cls)
]


@cache
def compiled(cls: type) -> None:
    cpp.prepare(
        (trace(build(cls, reset, detach)).program.text, dtype)
        for dtype, reset, detach in combinations(cls)
        if is_quick(cls, dtype, reset, detach)
    )


def is_exact(node: BaseNode) -> bool:
    program = trace(node).program
    reached = program.graph().reached_from(program.outputs, values=True)
    return not any(program.nodes[i].op in LIBRARY for i in reached)


def input_of(cls: type, dtype: torch.dtype) -> Tensor:
    shape = (5, 2, 3, 5, 5) if cls is neuron.GatedLIFNode else (5, 3, 43)
    generator = torch.Generator().manual_seed(1)
    return (3.5 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1.0).to(dtype)


def outcome(node: BaseNode, x: Tensor, io: torch.dtype) -> dict[str, Tensor | None]:
    """Outputs, states and all gradients of a sequence from a state in the middle of things."""
    generator = torch.Generator().manual_seed(2)

    def weight(like: Tensor) -> Tensor:
        values = torch.rand(like.shape, generator=generator, dtype=torch.float64)
        return (values - 0.3).to(io).to(like.dtype)

    x = x.clone().requires_grad_(True)
    real = torch.float64 if io == torch.float64 else torch.float32
    leaves = {"x": x}
    for name, value in node.named_memories():
        start = torch.rand(x.shape[1:], generator=generator, dtype=torch.float64)
        leaves[name] = (value + 0.4 * start).to(real).requires_grad_(True)
        setattr(node, name, leaves[name])
    outputs = {"output": node(x).to(io), "v_seq": node.v_seq.to(io)}  # pyright: ignore
    outputs |= {f"last {name}": value for name, value in node.named_memories()}
    loss = sum((value * weight(value)).double().sum() for value in outputs.values())
    leaves |= dict(node.named_parameters())
    found = torch.autograd.grad(loss, tuple(leaves.values()), allow_unused=True)  # pyright: ignore
    gradients = zip(leaves, found, strict=True)
    return outputs | {f"gradient of {name}": gradient for name, gradient in gradients}


def within(found: Tensor, wanted: Tensor, dtype: torch.dtype) -> None:
    """Equal up to rounding, as large as the largest number makes it."""
    unit = {torch.float32: 2e-6, torch.float64: 1e-14, torch.bfloat16: 2.0**-7}[dtype]
    scale = max(1.0, wanted.abs().max().item())
    torch.testing.assert_close(found, wanted, rtol=unit, atol=unit * scale)


def test_every_scalar_recurrence_is_here():
    assert fused_classes() == set(EXAMPLES)


@pytest.mark.parametrize(("cls", "dtype", "reset", "detach"), CASES)
def test_equal_to_torch(cls, dtype, reset, detach):
    compiled(cls)
    io = DTYPES[dtype]
    reference, node = build(cls, reset, detach), build(cls, reset, detach)
    node.backend = "cpp"
    x = input_of(cls, io)
    if io == torch.float64:
        reference.double()
        node.double()
    wanted = outcome(reference, x.float() if io == torch.bfloat16 else x, io)
    found = outcome(node, x, io)
    assert wanted["output"].unique().numel() > 1  # a silent neuron proves little
    exact = is_exact(node)
    for name, value in found.items():
        target = wanted[name]
        if value is None or target is None:
            zero = value if target is None else target
            assert zero is None or not zero.any(), name
            continue
        assert value.dtype == (io if name == "gradient of x" else target.dtype), name
        target = target.to(value.dtype)
        spikes = name == "output" and cls is not neuron.LIAFNode
        if spikes or (exact and not name.startswith("gradient")):
            assert torch.equal(value, target), name
        else:
            within(value, target, io if value.dtype == io else value.dtype)


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize(
    "cls", [neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode], ids=lambda c: c.__name__
)
def test_no_spike_flips_in_four_million_steps(cls, reset):
    compiled(cls)
    generator = torch.Generator().manual_seed(3)
    x = 2.2 * torch.rand(16, 1 << 18, generator=generator)
    reference, node = build(cls, reset, False), build(cls, reset, False)
    node.backend = "cpp"
    with torch.no_grad():
        spikes = reference(x)
        assert torch.equal(node(x), spikes)
    assert 0.02 < spikes.mean() < 0.98
    assert torch.equal(node.v, reference.v)
    assert torch.equal(node.v_seq, reference.v_seq)


@pytest.mark.parametrize(
    "cls",
    [neuron.IFNode, neuron.LIFNode, neuron.EIFNode, neuron.RAFNode, neuron.TernaryIFNode,
     neuron.ILIFNode, neuron.ComplementaryLIFNode, neuron.KLIFNode],
    ids=lambda c: c.__name__,
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nan_and_infinity_go_where_torch_lets_them(cls, dtype):
    compiled(cls)
    io = DTYPES[dtype]
    reset = "soft" if "v_reset" not in inspect.signature(cls).parameters else "hard"
    x = input_of(cls, io)
    x[1, 0, :5] = torch.nan
    x[2, 0, 5:9] = torch.inf
    x[2, 0, 9:12] = -torch.inf
    x[3, 1, :4] = 1e30
    results = []
    for backend in ("torch", "cpp"):
        node = build(cls, reset, dtype == "bfloat16" and cls is neuron.IFNode)
        node.backend = backend
        entry = (x.float() if backend == "torch" else x).clone().requires_grad_(True)
        y = node(entry)
        states = list(node.memories())
        # a gradient of 0 for the last states, as a kernel takes it: 0 times infinity is no number
        given = [torch.ones_like(y), *map(torch.zeros_like, states)]
        (gradient,) = torch.autograd.grad([y, *states], entry, given)
        results.append((y.to(io), node.v_seq.to(io), gradient.to(io)))  # pyright: ignore
    for name, wanted, found in zip(("output", "v_seq", "gradient"), *results, strict=True):
        tolerance = 2.0**-7 if dtype == "bfloat16" else 1e-5
        torch.testing.assert_close(
            found, wanted, rtol=tolerance, atol=tolerance, equal_nan=True,
            msg=lambda text, name=name: f"{name}: {text}",
        )  # fmt: skip
    if cls is not neuron.LIAFNode:
        assert not results[1][0][1, 0, :5].isnan().any()  # a NaN never fires


# surrogates


def surrogates() -> list[type]:
    found = [getattr(surrogate, name) for name in surrogate.__all__]
    classes = [cls for cls in found if inspect.isclass(cls)]
    # PoissonPass draws at random, which no kernel does
    left_out = (surrogate.SurrogateFunction, surrogate.PoissonPass)
    return [
        cls
        for cls in classes
        if issubclass(cls, surrogate.SurrogateFunction) and cls not in left_out
    ]


def function(cls: type, spiking: bool) -> surrogate.SurrogateFunction:
    made = cls(3) if cls is surrogate.MultiLevelSpikeCount else cls()
    made.set_spiking_mode(spiking)
    return made


def with_surrogate(cls: type, spiking: bool) -> BaseNode:
    return neuron.LIFNode(
        3.0, surrogate_function=function(cls, spiking), step_mode="m", store_v_seq=True
    )


def has_primitive(cls: type) -> bool:
    try:
        function(cls, False)(torch.zeros(1))
    except NotImplementedError:
        return False
    return True


@cache
def compiled_surrogates() -> None:
    cpp.prepare(
        (trace(with_surrogate(cls, spiking)).program.text, "float32")
        for cls in surrogates()
        for spiking in (True, False)
        if spiking or has_primitive(cls)
    )


def test_all_surrogates_are_here():
    assert len(surrogates()) >= 18


@pytest.mark.parametrize("spiking", [True, False], ids=["spiking", "smooth"])
@pytest.mark.parametrize("cls", surrogates(), ids=lambda cls: cls.__name__)
def test_surrogates(cls, spiking):
    if not spiking and not has_primitive(cls):
        pytest.skip(f"{cls.__name__} has no primitive")
    compiled_surrogates()
    x = input_of(neuron.LIFNode, torch.float32)
    reference, node = with_surrogate(cls, spiking), with_surrogate(cls, spiking)
    node.backend = "cpp"
    wanted, found = (outcome(n, x, torch.float32) for n in (reference, node))
    for name, value in found.items():
        if spiking and not name.startswith("gradient"):
            assert torch.equal(value, wanted[name]), name
        else:
            within(value, wanted[name], torch.float32)
