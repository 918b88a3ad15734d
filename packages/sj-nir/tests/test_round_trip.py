"""Random networks of everything that can be exported, through a file and back."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import sj_layers as layer
import sj_nir
from sj_neurons import functional, neuron, surrogate

T, N = 4, 2
Shape = tuple[int, ...]


# shapes of networks


class Branches(nn.Module):
    """`head(c x + b1(x) - b2(x) ...)`"""

    def __init__(self, factor: float, branches: list[Any], signs: list[Any], head: Any) -> None:
        super().__init__()
        self.factor, self.signs = factor, signs
        self.branches, self.head = nn.ModuleList(branches), head

    def forward(self, x: Tensor) -> Tensor:
        total = x if self.factor == 1.0 else self.factor * x
        for sign, branch in zip(self.signs, self.branches, strict=True):
            total = sign(total, branch(x))
        return self.head(total)


class Twice(nn.Module):
    """One layer before and after a neuron."""

    def __init__(self, shared: Any, between: Any) -> None:
        super().__init__()
        self.shared, self.between = shared, between

    def forward(self, x: Tensor) -> Tensor:
        return self.shared(self.between(self.shared(x)))


class Ends(nn.Module):
    """Two inputs, and outputs as a tensor, a tuple or a dict."""

    def __init__(self, first: Any, body: Any, kind: str) -> None:
        super().__init__()
        self.first, self.body, self.kind = first, body, kind

    def forward(self, one: Tensor, two: Tensor) -> Any:
        x = self.first(one) + two
        y = self.body(x)
        return {"one": y, "tuple": (y, x), "dict": {"z": x, "a": y}}[self.kind]


@dataclasses.dataclass
class Case:
    """A network, its inputs `[T, N, *]`, and whether all its arithmetic has a unique order."""

    net: nn.Module
    inputs: tuple[Tensor, ...] = dataclasses.field(repr=False)
    step_mode: str
    exact: bool


class Builder:
    """Draws modules that follow each other; `shape` is that of the last one's output."""

    def __init__(self, draw: Callable[[Any], Any], shape: Shape, step_mode: str) -> None:
        self.draw, self.shape, self.step_mode, self.exact = draw, shape, step_mode, True

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def number(self, low: float, high: float) -> float:
        return self.draw(st.floats(low, high))

    def values(self, low: float, high: float) -> float | Tensor:
        """A number, or one for each neuron."""
        if self.pick(True, False):
            return self.number(low, high)
        return low + (high - low) * torch.rand(self.shape)

    # neurons

    def neuron(self) -> nn.Module:
        kinds = [self.plain, self.plain, self.current, self.general, self.integrator, self.half]
        made = self.pick(*kinds)()
        if isinstance(made, neuron.BaseNode) and self.pick(True, False, False):
            made.set_reset_value("v", self.number(-0.5, 0.5))
            made.reset()
        return made

    def firing(self) -> dict[str, Any]:
        functions = (None, surrogate.ATan(alpha=3.0), surrogate.Rect(), surrogate.Sigmoid())
        return {
            "surrogate_function": self.pick(*functions),
            "detach_reset": self.pick(True, False),
        }

    def plain(self) -> nn.Module:
        common: dict[str, Any] = {
            "v_threshold": self.number(0.1, 2.0),
            "v_reset": self.pick(0.0, -0.3, None),
            **self.firing(),
        }
        if self.pick(True, False, False):
            common["v_threshold"] = 0.1 + torch.rand(self.shape)
        kind = self.pick("if", "lif", "plif", "online", "planes")
        if kind == "if":
            return neuron.IFNode(**common)
        if kind == "plif":
            self.exact = False
            return neuron.ParametricLIFNode(self.number(1.1, 9.0), self.pick(True, False), **common)
        leak = {"tau": self.number(1.01, 50.0), "decay_input": self.pick(True, False)}
        if kind == "planes" and len(self.shape) == 3:
            return neuron.MPBNLIFNode(**leak, **common, mpbn=False, out_channels=self.shape[0])
        if kind == "online" and self.step_mode == "s":
            return self.pick(neuron.OTTTLIFNode, neuron.SLTTLIFNode)(**leak, **common)
        return neuron.LIFNode(**leak, **common)

    def half(self) -> nn.Module:
        if self.pick(True, False):
            return neuron.HalfThresholdIFNode(self.number(0.1, 1.0), **self.firing())
        threshold = 0.1 + torch.rand(self.shape[-1])
        return neuron.ActivationAwareIFNode(threshold, v_reset=self.pick(None, 0.0))

    def current(self) -> nn.Module:
        return neuron.CUBALIFNode(
            self.number(0.0, 0.99),
            self.number(0.0, 0.99),
            self.number(0.1, 2.0),
            self.pick(0.0, -0.3, None),
            **self.firing(),
        )

    def general(self) -> nn.Module:
        common: dict[str, Any] = {
            "v_threshold": self.values(0.1, 2.0),
            "v_reset": self.values(-1.0, 0.05),
            "soft_reset": self.pick(True, False),
            **self.firing(),
        }
        kind = self.pick("IF", "LIF", "CubaLIF")
        if kind == "IF":
            return sj_nir.modules.IF(self.values(0.1, 2.0), **common)
        if kind == "LIF":
            leak = self.values(1.0, 20.0), self.values(0.1, 5.0), self.values(-0.5, 0.5)
            return sj_nir.modules.LIF(*leak, **common)
        times = self.values(1.0, 20.0), self.values(1.0, 20.0)
        gains = {"r": self.values(0.1, 5.0), "v_leak": self.values(-0.5, 0.5)}
        return sj_nir.modules.CubaLIF(*times, **gains, w_in=self.values(0.1, 5.0), **common)

    def integrator(self) -> nn.Module:
        kind = self.pick("I", "LI", "CubaLI", "scale", "threshold", "delay", "delays")
        if kind == "I":
            return sj_nir.modules.I(self.values(0.1, 2.0))
        if kind == "LI":
            return sj_nir.modules.LI(self.values(1.0, 20.0), self.values(0.1, 5.0))
        if kind == "CubaLI":
            times = self.values(1.0, 20.0), self.values(1.0, 20.0)
            return sj_nir.modules.CubaLI(*times, v_leak=self.values(-0.5, 0.5))
        if kind == "scale":
            return sj_nir.modules.Scale(torch.randn(self.shape))
        if kind == "threshold":
            return sj_nir.modules.Threshold(torch.rand(self.shape))
        if kind == "delay":
            return layer.Delay(self.pick(0, 1, 2))
        return sj_nir.modules.Delay(torch.randint(0, 4, self.shape))

    # layers

    def weights(self) -> list[nn.Module]:
        """One layer, sometimes with what is folded or left out behind it."""
        made = {1: self.linear, 2: self.line, 3: self.plane}[len(self.shape)]()
        self.shape = tuple(nn.Sequential(*made).eval()(torch.zeros(1, *self.shape)).shape[1:])
        functional.reset_net(nn.Sequential(*made))
        return made + self.pick([], [layer.Dropout(0.5)], [nn.Identity()])

    def norm(self, kind: type[nn.Module], channels: int) -> list[nn.Module]:
        if self.pick(True, False, False):
            self.exact = False
            norm: Any = kind(channels)
            nn.init.uniform_(norm.weight, 0.5, 2.0)
            norm.running_mean.uniform_(-1.0, 1.0)
            norm.running_var.uniform_(0.2, 2.0)
            return [norm]
        return []

    def linear(self) -> list[nn.Module]:
        (features,) = self.shape
        if features > 5 and self.pick(True, False, False):
            self.exact = False
            return [layer.VotingLayer(2)]
        kind = self.pick(nn.Linear, layer.Linear, layer.SpikeLinear, layer.WSLinear)
        size = self.pick(3, 6)
        self.exact &= kind is not layer.SpikeLinear  # it adds up in another order
        norm = [] if kind in (layer.WSLinear, layer.SpikeLinear) else (layer.BatchNorm1d, size)
        made = kind(features, size, bias=self.pick(True, False))
        return [made, *(self.norm(*norm) if norm else [])]

    def line(self) -> list[nn.Module]:
        channels, length = self.shape
        if self.pick(True, False, False):
            self.exact = False
            return [self.pick(layer.AvgPool1d(2, 1, 1), layer.AdaptiveAvgPool1d(length // 2))]
        made = layer.Conv1d(
            channels,
            2 * channels,
            self.pick(1, 3),
            padding=self.pick("same", "valid", 1),
            dilation=self.pick(1, 2),
            groups=self.pick(1, channels),
            bias=self.pick(True, False),
        )
        return [made, *self.norm(layer.BatchNorm1d, 2 * channels)]

    def plane(self) -> list[nn.Module]:
        channels, height, width = self.shape
        if height % 2 == width % 2 == 0 and self.pick(True, False, False):
            kind = self.pick("mean", "sum", "adaptive", "power")
            if kind in ("mean", "sum"):
                padding = self.pick(0, 1, (1, 0))
                divisor = 1 if kind == "sum" else None
                return [layer.AvgPool2d(2, self.pick(1, 2), padding, divisor_override=divisor)]
            self.exact = False
            if kind == "power" and self.step_mode == "s":
                return [nn.LPPool2d(1, 2)]
            return [layer.AdaptiveAvgPool2d((height // 2, width // 2))]
        groups, bias = self.pick(1, 2), self.pick(True, False)
        if self.pick(True, False, False, False):
            return [layer.WSConv2d(channels, 2, (2, 3), padding=1, groups=groups, bias=bias)]
        made = layer.Conv2d(
            channels,
            2,
            self.pick(1, 3, (1, 3), (3, 5)),
            padding=self.pick("same", 2, (1, 2)),
            dilation=self.pick(1, (2, 1)),
            groups=groups,
            bias=bias,
        )
        return [made, *self.norm(layer.BatchNorm2d, 2)]

    def flat(self) -> list[nn.Module]:
        if len(self.shape) == 1:
            return []
        end = -1 if len(self.shape) == 2 else self.pick(-1, 2)
        made = layer.Flatten(1, end)
        self.shape = tuple(made(torch.zeros(1, *self.shape)).shape[1:])
        return [made]

    # structures

    def same(self, depth: int) -> nn.Module:
        """A module that keeps the shape."""
        if depth == 0 or len(self.shape) > 1:
            return self.neuron()
        (size,) = self.shape
        kind = self.pick("neuron", "layer", "branches", "twice", "feedback", "recurrent", "nested")
        if kind == "layer":
            return nn.Sequential(nn.Linear(size, size, self.pick(True, False)), self.neuron())
        if kind == "branches":
            branches = [self.same(depth - 1) for _ in range(self.pick(1, 2))]
            signs = [self.pick(operator.add, torch.sub) for _ in branches]
            return Branches(self.pick(1.0, 1.0, -0.5), branches, signs, self.neuron())
        if kind == "twice":
            return Twice(layer.Linear(size, size), self.neuron())
        if kind == "feedback":
            inner = nn.Sequential(self.looped(depth - 1), nn.Linear(size, size))
            return layer.ElementWiseRecurrentContainer(inner, self.pick(operator.add, torch.sub))
        if kind == "recurrent":
            self.exact = False  # one product of joined inputs becomes two
            return layer.LinearRecurrentContainer(
                self.looped(0), size, size, self.pick(True, False)
            )
        if kind == "nested" and self.step_mode == "m" and self.pick(True, False):
            return layer.MultiStepContainer(self.looped(depth - 1))
        if kind == "nested":
            stateless = layer.StepModeContainer(True, nn.Linear(size, size), nn.Identity())
            return nn.Sequential(self.same(depth - 1), stateless)
        return self.neuron()

    def looped(self, depth: int) -> nn.Module:
        outside, self.step_mode = self.step_mode, "s"
        made = nn.Sequential(self.plain(), self.same(depth))
        self.step_mode = outside
        return made


@st.composite
def cases(draw: Callable[[Any], Any]) -> Case:
    torch.manual_seed(draw(st.integers(0, 2**31)))
    shape = draw(st.sampled_from([(3,), (6,), (2, 6), (2, 6, 6)]))
    step_mode = draw(st.sampled_from(["s", "m"]))
    builder = Builder(draw, shape, step_mode)
    parts = [builder.neuron()] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 2))):
        parts += [*builder.weights(), builder.neuron()]
    parts += builder.flat()
    for _ in range(draw(st.integers(0, 2))):
        parts.append(builder.same(2))
    net: nn.Module = nn.Sequential(*parts)
    several = draw(st.sampled_from(["no", "no", "one", "tuple", "dict"]))
    if several != "no":
        before = Builder(draw, shape, step_mode)
        net = Ends(before.neuron(), net, several)
        builder.exact &= before.exact
    functional.set_step_mode(net, step_mode)
    functional.reset_net(net)
    inputs = tuple(3 * torch.rand(T, N, *shape) for _ in range(1 if several == "no" else 2))
    return Case(net.eval(), inputs, step_mode, builder.exact)


# what must survive


def outputs(net: Callable[..., Any], case: Case, imported: bool) -> list[Tensor]:
    """All outputs `[T, N, *]`."""

    def call(*inputs: Tensor) -> list[Tensor]:
        found = net(*inputs)
        found = found[0] if imported else found
        found = list(found.values()) if isinstance(found, Mapping) else found
        return [found] if isinstance(found, Tensor) else list(found)

    with torch.no_grad():
        if case.step_mode == "m":
            return call(*case.inputs)
        steps = [call(*xs) for xs in zip(*case.inputs, strict=True)]
        return [torch.stack(found) for found in zip(*steps, strict=True)]


def assert_equal(a: Any, b: Any, place: str) -> None:
    """Dicts, arrays, numbers and texts alike, types of arrays included."""
    if isinstance(a, Mapping):
        assert a.keys() == b.keys(), place
        for key in a:
            assert_equal(a[key], b[key], f"{place}/{key}")
        return
    one, two = np.asarray(a), np.asarray(b)
    assert one.dtype == two.dtype and one.shape == two.shape, place
    np.testing.assert_array_equal(one, two, err_msg=place)


def assert_equal_graphs(a: Any, b: Any, *without: str) -> None:
    assert a.nodes.keys() == b.nodes.keys()
    assert sorted(a.edges) == sorted(b.edges)
    assert_equal(a.metadata, b.metadata, "metadata")
    for name, node in a.nodes.items():
        other = b.nodes[name]
        assert type(node) is type(other)
        for field in {f.name for f in dataclasses.fields(node)}.difference(without):
            assert_equal(getattr(node, field), getattr(other, field), f"{name}.{field}")


@settings(max_examples=settings().max_examples // 2)
@given(case=cases(), dt=st.sampled_from([1e-4, 7e-3]))
def test_outputs_and_graph_survive_the_file(case: Case, dt: float) -> None:
    example = case.inputs if case.step_mode == "m" else tuple(x[0] for x in case.inputs)
    expected = outputs(case.net, case, imported=False)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "net.nir"
        graph = sj_nir.export_to_nir(case.net, example, path, dt)
        read = sj_nir.read_graph(path)
        back = sj_nir.import_from_nir(path, dt, step_mode=case.step_mode)
    found = outputs(back, case, imported=True)
    if case.exact:
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    else:  # spikes may differ where a potential is at the threshold; each node is checked alone
        functional.reset_net(case.net)
        functional.reset_net(back)
        sj_nir.verify(case.net, graph, case.inputs, dt).raise_if_different()
        sj_nir.verify(back, graph, case.inputs, dt).raise_if_different()
    functional.reset_net(back)
    assert_equal_graphs(read, graph, "input_type", "output_type")  # files do not hold these
    assert_equal_graphs(sj_nir.export_to_nir(back, example, dt=dt), graph)
