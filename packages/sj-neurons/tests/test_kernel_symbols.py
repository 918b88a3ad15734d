"""What a step may do while it is traced, as people write steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sj_neurons import neuron, surrogate
from sj_neurons.kernels.trace import state_names, trace

_NAMES = {"not": "logical_not", "and": "logical_and", "or": "logical_or"}


def evaluated(graph: Any, inputs: dict[str, Tensor]) -> list[Tensor]:
    """The value of each node, by torch, with its gradient."""
    values: list[Tensor] = []
    for node in graph:
        args = [values[i] for i in node.args]
        if node.op == "literal":
            values.append(torch.tensor(node.value, dtype=torch.float64))
        elif node.op == "input":
            values.append(inputs[node.value])
        elif node.op == "fire":
            spike, u, derivative = (arg.detach() for arg in args)
            values.append(spike + (args[1] - u) * derivative)
        else:
            values.append(getattr(torch, _NAMES.get(node.op, node.op))(*args))
    return values


def both(node: Any) -> None:
    """Outputs, last states and gradients of the trace, against those of the neuron."""
    node = node.double()
    x = torch.linspace(-1.5, 2.5, 24, dtype=torch.float64).view(6, 4).roll(5, 0).requires_grad_()
    names = state_names(node)
    node.reset()
    states = [torch.full_like(x[0], float(value)) for value in node.memories()]
    node.step_mode = "m"
    expected = [node(x), *(getattr(node, name) for name in names)]
    node.reset()
    made = trace(node)
    inputs = {f"k{i}": torch.tensor(k, dtype=torch.float64) for i, k in enumerate(made.numbers)}
    inputs |= {f"p{i}": p for i, p in enumerate(made.parameters(node, 1, torch.float64))}
    outputs = []
    for x_t in x:
        inputs |= {"x": x_t, **{f"v{i}": v for i, v in enumerate(states)}}
        values = evaluated(made.program.nodes, inputs)
        spike, *states = (values[i] for i in made.program.outputs)
        outputs.append(spike)
    weight = torch.linspace(-1, 1, 24, dtype=torch.float64).view(6, 4)
    found = [torch.stack(outputs), *states]
    for ours, theirs in (
        (found, expected),
        (
            torch.autograd.grad((out[0] * weight).sum() + out[1].sum(), [x, *node.parameters()])
            for out in (found, expected)
        ),
    ):
        for mine, reference in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, reference, rtol=1e-12, atol=1e-12)


class Hooks(neuron.BaseNode):
    """The imperative style with changes in place."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(surrogate_function=surrogate.ATan(), **kwargs)
        self.register_memory("refractory", 0.0)
        self.decay = 0.7

    def neuronal_charge(self, x: Tensor) -> None:
        self.v = self.v * self.decay
        self.v += torch.where(x > 2.0, torch.zeros_like(x), x) * (1.0 - self.refractory)

    def neuronal_fire(self) -> Tensor:
        return self.surrogate_function(self.v - self.v_threshold)

    def neuronal_reset(self, spike: Tensor) -> None:
        spike_d = spike.detach() if self.detach_reset else spike
        self.v = (1.0 - spike_d) * self.v + spike_d * (self.v_reset or 0.0)
        self.refractory = 0.5 * self.refractory + spike_d.masked_fill(self.v > 0.9, 0.25)


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("v_reset", [0.0, -0.2])
def test_hooks_that_change_states_in_place_and_add_a_memory(v_reset, detach):
    node = Hooks(v_reset=v_reset, detach_reset=detach)
    assert state_names(node) == ("v", "refractory")
    both(node)


class OnlyCharge(neuron.LIFNode):
    def neuronal_charge(self, x: Tensor) -> None:
        self.v = self.v + (F.relu(x) - self.v) / self.tau


class OnlyFire(neuron.LIFNode):
    def neuronal_fire(self) -> Tensor:
        return self.surrogate_function(self.v - 1.1 * self.v_threshold)


class OnlyReset(neuron.IzhikevichNode):
    def neuronal_reset(self, spike: Tensor) -> None:
        self.v = self.v - spike * self.v_threshold
        self.w = self.w + 0.5 * spike


@pytest.mark.parametrize("cls", [OnlyCharge, OnlyFire, OnlyReset])
def test_one_hook_alone(cls):
    both(cls())


CHARGES = {
    "torch functions": lambda self, x, v: torch.add(torch.mul(v, 0.5), torch.sigmoid(x)),
    "reflected": lambda self, x, v: 1.0 - (0.5 - v) - 2.0 / (x + 3.0) + torch.rsub(x, 1.0),
    "powers": lambda self, x, v: x**2 + 0.1 * x**3 - (v + 5) ** -1 + (v + 5.0) ** -2 + x**1,
    "roots": lambda self, x, v: (x + 4.0).sqrt() - 2.0 + v.square() * 0.1,
    "a number to a power": lambda self, x, v: 2.0**x - torch.pow(0.5, x) + v,
    "clamp below": lambda self, x, v: torch.clamp(v + x, min=-0.5),
    "clamp above": lambda self, x, v: torch.clamp(v + x, max=1.5) + x.clamp_max(0.7),
    "clamp": lambda self, x, v: (v + x).clamp(-0.3, max=1.2) + F.relu(x).clip(0.1, 1.0),
    "clamp upside down": lambda self, x, v: v + x.clamp(1.0, 0.5) + x,
    "extrema": lambda self, x, v: torch.max(x, v) + torch.minimum(x, 0.5 * v) + v.min(x),
    "masks": lambda self, x, v: v + x * ((x > 0) & ~(v > 2.0) | (x < -1.0)),
    "masks as numbers": lambda self, x, v: v + x + (v > 0.5).float() * 0.5 - (x > 1).to(x) * 0.2,
    "casts": lambda self, x, v: v + x * (x > 0).to(x.dtype) - (x > 1).type_as(v) + (x > 2).double(),
    "sums of masks": lambda self, x, v: v + x + ((x > 0) + (x > 1)) * 0.5,
    "products of masks": lambda self, x, v: v + ((x > 0) * (x < 1)) * 0.5 + x,
    "logical functions": lambda self, x, v: torch.where(
        torch.logical_or(torch.logical_not(x > 0), torch.ge(x, 1)), v, v + x
    ),
    "activations": lambda self, x, v: v + F.leaky_relu(x, 0.2) + F.softsign(x) - torch.tanh(v),
    "methods": lambda self, x, v: v + x.abs().exp().log() - x.neg().sin() + x.cos().atan().erf(),
    "in place": lambda self, x, v: v.mul(0.5).add_(x).clamp_(max=2.0),
    "aliases": lambda self, x, v: _aliases(x, v),
    "an own part": lambda self, x, v: v + F.relu(x.clone(), inplace=True) + x,
    "steps": lambda self, x, v: v + x + torch.sign(x) * 0.1 + torch.round(x) * 0.1,
    "fullness": lambda self, x, v: v + x * torch.full_like(x, 0.5) + torch.ones_like(x) * 0.1,
}


def _aliases(x: Any, v: Any) -> Any:
    h = v + x
    same = h
    same -= 0.1
    same *= 2.0
    same /= 3.0
    return h + same


@pytest.mark.parametrize("charge", CHARGES.values(), ids=CHARGES.keys())
def test_steps_written_with_torch(charge):
    both(type("Custom", (neuron.IFNode,), {"charge": charge})())


def test_a_clamped_parameter_keeps_its_gradient():
    class Clamped(neuron.IFNode):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.tensor([0.5, 0.9, 1.5, 2.0]))

        def charge(self, x: Any, v: Any) -> Any:
            return v * self.gain.clamp(0.0, 1.0) + x * torch.exp(-self.gain / 3.0)

    both(Clamped())
    assert trace(Clamped()).program.parameters == 2
