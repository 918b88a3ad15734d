"""What a trace depends on: which numbers it shares, when it holds, what it costs."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from sj_neurons import neuron, ops, surrogate
from sj_neurons.kernels.plan import plan
from sj_neurons.kernels.trace import trace

# structure and numbers


def text(node: Any) -> str:
    return trace(node).program.text


def test_neurons_that_differ_in_numbers_share_a_program():
    def lif(tau=2.0, v_threshold=1.0, alpha=2.0, **kw):
        return neuron.LIFNode(
            tau, v_threshold=v_threshold, surrogate_function=surrogate.ATan(alpha), **kw
        )

    one = trace(lif())
    for other in (lif(3.7), lif(1.5, 0.0), lif(v_threshold=0.5), lif(alpha=1.0), lif(alpha=3.1)):
        assert text(other) == one.program.text
        assert trace(other).numbers != one.numbers
    resets = {text(lif(v_reset=value)) for value in (0.0, -0.2, None)}
    assert len(resets) == 3
    assert text(lif(v_reset=-0.2)) == text(lif(v_reset=-1.0))
    assert text(lif(detach_reset=True)) != one.program.text
    assert text(neuron.RAFNode()) != text(neuron.RAFNode(b=-0.3))  # exp(b dt) is a literal


def test_what_is_constant_in_time_is_one_parameter():
    assert trace(neuron.ParametricLIFNode()).program.parameters == 1
    node = neuron.GatedLIFNode(4, 3)
    node.requires_grad_(False)
    made = trace(node)
    (first, *_) = made.parameters(node, 4, torch.float64)
    assert first.dtype == torch.float64 and first.shape in ((), (3, 1, 1))


# when a trace holds


def test_a_trace_notices_what_its_step_reads():
    class Moody(neuron.LIFNode):
        rate = 0.5
        _gain = 2.0

        def __init__(self):
            super().__init__(surrogate_function=surrogate.ATan())
            self._offset = 0.1
            self.gains = [0.5, 0.7]
            self.settings = SimpleNamespace(gain=0.5)

        def charge(self, x, v):
            if self.training:
                x = x * self.rate
            return (
                super().charge(x * self._gain + self._offset, v)
                * self.gains[1]
                * self.settings.gain
            )

    def replace_surrogate(node):
        node.surrogate_function = surrogate.Sigmoid()

    changes = {
        "tau": lambda node: setattr(node, "tau", 5.0),
        "alpha": lambda node: setattr(node.surrogate_function, "alpha", 5.0),
        "spiking": lambda node: node.surrogate_function.set_spiking_mode(False),
        "surrogate": replace_surrogate,
        "class attribute": lambda node: setattr(node, "rate", 0.7),
        "private class attribute": lambda node: setattr(node, "_gain", 3.0),
        "private attribute": lambda node: setattr(node, "_offset", 0.2),
        "item of a list": lambda node: node.gains.append(0.9),
        "field of an object": lambda node: setattr(node.settings, "gain", 0.4),
        "mode": lambda node: node.eval(),
        "reset": lambda node: setattr(node, "v_reset", None),
        "kind": lambda node: setattr(node, "v_threshold", torch.ones(3)),
    }
    for name, change in changes.items():
        node = Moody()
        made = trace(node)
        assert made.still_holds(), name
        change(node)
        assert not made.still_holds(), name
        assert trace(node).still_holds(), name


def test_a_trace_holds_through_what_does_not_matter():
    node = neuron.IFNode(v_threshold=torch.ones(3))
    made = trace(node)
    node.double().eval()
    node.step_mode, node.store_v_seq = "m", True
    node.v_threshold = torch.full((3,), 2.0, dtype=torch.float64)
    node(torch.ones(2, 4, 3))
    assert made.still_holds()
    node = neuron.LIFNode()
    node.tau = float("nan")
    made = trace(node)
    node.tau = -float("nan")
    assert made.still_holds()


def test_a_trace_notices_the_numbers_of_an_activation():
    class Gain(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = 2.0

        def forward(self, h):
            return self.gain * h

    node = neuron.LIAFNode(Gain(), False)
    made = trace(node)
    node.act.gain = 3.0
    assert not made.still_holds()


# cost


def test_tracing_and_planning_take_milliseconds():
    times = []
    for _ in range(5):
        plan.cache_clear()
        start = time.process_time()
        plan(text(neuron.LIFNode()))
        times.append(time.process_time() - start)
    assert min(times) < 0.01


def test_long_steps_and_numbers_are_no_problem():
    class Long(neuron.IFNode):
        def charge(self, x, v):
            gain = self.v_threshold
            for _ in range(60):
                gain = 0.5 * (gain + gain)  # the same number, whatever its history
            for _ in range(1250):
                v = ops.where(v > x, v * gain, v + 0.5 * x)
            return v

    start = time.process_time()
    made = plan(text(Long()))
    assert len(made.program.nodes) > 4000 and len(made.kept) <= 2
    assert time.process_time() - start < 5
