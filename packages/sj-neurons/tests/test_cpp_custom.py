"""The user's own neurons on backend 'cpp': steps as functions, imperative hooks, subclasses."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sj_neurons import neuron, ops, surrogate
from sj_neurons.kernels import select
from sj_neurons.neuron.base import BaseNode

T, N, C, H, W = 5, 2, 3, 4, 6
FIRE = surrogate.ATan()


def values(*shape: int) -> Tensor:
    return 3.0 * torch.rand(shape, generator=torch.Generator().manual_seed(len(shape))) - 1.0


def outcome(node: BaseNode, backend: str, x: Tensor) -> list[Tensor]:
    node.step_mode, node.store_v_seq, node.backend = "m", True, backend
    x = x.clone().requires_grad_(True)
    y = node(x)
    assert node.v_seq is not None
    loss = (y * values(*y.shape)).sum() + (node.v_seq * values(*y.shape).flip(0)).sum()
    memories = [value for value in node.memories() if isinstance(value, Tensor)]
    gradients = torch.autograd.grad(loss, [x, *node.parameters()])
    return [y, node.v_seq, *memories, *gradients]


def same(node: BaseNode, x: Tensor, exact: bool = True) -> None:
    """Bit-equal outputs and states (if `exact`), close gradients; twice, to go on from a state."""
    reference = copy.deepcopy(node)
    for _ in range(2):
        found, wanted = outcome(node, "cpp", x), outcome(reference, "torch", x)
        for place, (a, b) in enumerate(zip(found, wanted, strict=True)):
            if exact and place < 3:
                assert torch.equal(a, b)
            else:
                torch.testing.assert_close(a, b, rtol=2e-5, atol=2e-5)
        node.detach()
        reference.detach()
    call = select.call_of(node, "cpu", x.dtype)
    assert call is not None and call.backend == "cpp"


def adaptive(x: Any, v: Any, threshold: Any, tau: Any, jump: Any, curve: Any) -> tuple[Any, ...]:
    h = v + (x - v) / tau
    spike = ops.fire(h - threshold, curve)
    return spike, (1.0 - spike) * h, threshold + jump * spike


Adaptive = neuron.from_step(
    adaptive,
    states={"v": 0.0, "threshold": 0.5},
    params={"tau": 2.0, "jump": 0.2, "curve": FIRE},
    name="Adaptive",
)


@pytest.mark.parametrize(
    "jump",
    [
        0.2,
        torch.tensor(0.2),
        nn.Parameter(torch.tensor(0.2)),
        nn.Parameter(torch.linspace(0.1, 0.6, W)),
        nn.Parameter(torch.linspace(0.1, 0.6, C).view(C, 1, 1)),
        nn.Parameter(torch.linspace(0.1, 0.6, C * H * W).view(C, H, W)),
        nn.Parameter(torch.linspace(0.1, 0.6, N).view(N, 1, 1, 1)),
    ],
    ids=["number", "buffer", "scalar", "column", "channel", "neuron", "sample"],
)
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_parameters_of_every_shape(jump, layout):
    x = values(T, N, C, H, W)
    if layout == "channels_last":
        x = values(T, N, H, W, C).permute(0, 1, 4, 2, 3)
    same(Adaptive(jump=jump), x)


def test_several_parameters_and_expressions_of_them():
    def step(x, v, i, decay, gain, bias):
        i = ops.sigmoid(decay) * i + x * ops.exp(gain)
        h = v * (1.0 - ops.sigmoid(decay)) + i + bias
        s = ops.fire(h - 1.0, FIRE)
        return s, h - s * (1.0 + bias), i

    Node = neuron.from_step(
        step,
        states={"v": 0.0, "i": 0.1},
        params={
            "decay": nn.Parameter(torch.linspace(-1.0, 1.0, W)),
            "gain": nn.Parameter(torch.tensor(-0.3)),
            "bias": nn.Parameter(torch.linspace(-0.1, 0.2, C).view(C, 1, 1)),
        },
        name="Synaptic",
    )
    same(Node(), values(T, N, C, H, W))


def test_all_of_the_vocabulary():
    def step(x, v, w):
        a = ops.minimum(ops.maximum(x, -v), ops.abs(v) + 0.5)
        b = ops.clamp(a * w, -2.0, 2.0) + ops.sign(x) * 0.1 + ops.round(v * 3.0) * 0.05
        c = ops.sin(b) + ops.cos(b) + ops.tanh(b) + ops.atan(b) + ops.erf(b) + ops.sigmoid(b)
        d = ops.log(ops.exp(c * 0.3) + 1.0) + ops.pow(ops.abs(c) + 0.1, 1.5) + c**2 / (1.0 + c**2)
        h = ops.where((d > 0.0) & ~(x < -0.5), d, 0.1 * d) + v * 0.3
        s = ops.fire(h - 1.0, FIRE)
        return s, h - ops.detach(s) * h

    Node = neuron.from_step(
        step, states={"v": 0.2}, params={"w": nn.Parameter(torch.tensor(0.7))}, name="Everything"
    )
    same(Node(), values(T, N, W * H * C), exact=False)
    same(Node().double(), values(T, N, W).double(), exact=False)


class Hooked(neuron.BaseNode):
    """Written as in other libraries: hooks that act on `self.v`, and a memory of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.register_memory("trace", 0.25)
        self.gain = nn.Parameter(torch.tensor(0.8))

    def neuronal_charge(self, x: Tensor) -> None:
        self.trace = 0.9 * self.trace + 0.1 * x
        self.v = self.v + self.gain * x - 0.3 * self.trace

    def neuronal_reset(self, spike: Tensor) -> None:
        self.v = self.v * (1.0 - spike) - 0.1 * spike


def test_imperative_hooks_and_further_memories():
    node = Hooked(surrogate_function=surrogate.ATan())
    same(node, values(T, N, C, W))
    assert isinstance(node.trace, Tensor)
    node.reset()
    assert node.trace == 0.25
    single, multi = Hooked(backend="cpp"), Hooked(backend="cpp", step_mode="m")
    x = values(T, N, C)
    assert torch.equal(torch.stack([single(step) for step in x]), multi(x))
    assert torch.equal(single.trace, multi.trace)


def test_a_subclass_with_a_charge_of_its_own():
    class Quadratic(neuron.LIFNode):
        def charge(self, x, v):
            return super().charge(x, v) + self.bump * v * v

    node = Quadratic(tau=3.0)
    node.bump = 0.05
    same(node, values(T, N, C))
    node.bump = 0.4  # is read at each call
    node.reset()
    same(node, values(T, N, C))


def test_a_surrogate_of_ones_own():
    class Triangle(surrogate.SurrogateFunction):
        parameter_names = ("width",)

        def __init__(self, width: float = 1.5) -> None:
            super().__init__()
            self.width = width

        @staticmethod
        def derivative(x, width):
            return ops.maximum(1.0 - ops.abs(x) / width, 0.0 * x)

        @staticmethod
        def primitive_function(x, width):
            return ops.clamp(x, -width, width)

    same(neuron.LIFNode(surrogate_function=Triangle()), values(T, N, C))
    same(neuron.LIFNode(surrogate_function=Triangle(0.5)), values(T, N, C))


def test_a_smooth_function_instead_of_a_surrogate():
    node = neuron.LIFNode(surrogate_function=torch.sigmoid)
    same(node, values(T, N, C), exact=False)


def test_a_threshold_that_is_learned():
    node = neuron.IFNode(v_reset=None)
    del node.v_threshold
    node.v_threshold = nn.Parameter(torch.linspace(0.5, 1.5, C))
    same(node, values(T, N, C))
    # learning goes on: the kernel reads the parameter, not a copy
    with torch.no_grad():
        node.v_threshold.mul_(0.5)
    node.reset()
    same(node, values(T, N, C))


@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
def test_copies_of_a_class_made_from_a_step(how):
    node = Adaptive(step_mode="m", backend="cpp")
    x = values(T, N, C)
    node(x)
    twin = copy.deepcopy(node) if how == "deepcopy" else pickle.loads(pickle.dumps(node))
    assert twin.backend == "cpp"
    assert torch.equal(twin(x), node(x))


def test_layouts_of_gates_per_channel():
    for x in (values(4, N, C, H, W), values(4, N, H, W, C).permute(0, 1, 4, 2, 3)):
        torch.manual_seed(0)
        node = neuron.GatedLIFNode(T=4, inplane=C)
        same(node, x)
    for dim, shape in ((1, (N, C, H)), (-1, (N, H, C)), (-2, (N, C, H))):
        node = neuron.ActivationAwareIFNode(torch.tensor([0.5, 1.0, 0.8]), 0.1, channel_dim=dim)
        same(node, values(T, *shape))


@pytest.mark.parametrize(
    ("text", "charge"),
    [
        ("branches", lambda self, x, v: v + x if x > 0 else v),
        ("sort", lambda self, x, v: v + x.sort().values),
        ("mean", lambda self, x, v: v + x.mean()),
        ("not an attribute", lambda self, x, v: v + x + torch.ones(3)),
    ],
    ids=["branch", "sort", "mean", "tensor"],
)
def test_what_is_no_scalar_step_is_refused_with_the_reason(text, charge):
    cls = type("Odd", (neuron.IFNode,), {"charge": charge})
    node = cls(step_mode="m")
    with pytest.raises(NotImplementedError, match=f"backend 'cpp': .* Odd .*{text}"):
        node.backend = "cpp"
    with pytest.raises(NotImplementedError, match=text):
        cls(step_mode="m", backend="cpp")(values(T, N, 3))
