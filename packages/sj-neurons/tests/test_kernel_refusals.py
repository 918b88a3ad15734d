"""A step that cannot be traced says which class it is and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sj_neurons import neuron, ops, surrogate
from sj_neurons.kernels.symbols import TraceError
from sj_neurons.kernels.trace import trace


class Scripted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Any) -> Any:
        return (u >= 0).to(u)


class OwnForward(surrogate.ATan):
    def forward(self, x: Tensor) -> Tensor:
        return 2.0 * super().forward(x)


OUTSIDE = torch.tensor([0.5, 0.6, 0.7, 0.8])


def _branching(self: Any, x: Any, v: Any) -> Any:
    return v + x if x.sum() > 0 else v


def _no_grad(self: Any, x: Any, v: Any) -> Any:
    with torch.no_grad():
        return v + x


def _sets(self: Any, x: Any, v: Any) -> Any:
    self.last_input = x
    return v + x


def _counts(self: Any, x: Any, v: Any) -> Any:
    self.training += 1
    return v + x


def _records(self: Any, x: Any, v: Any) -> Any:
    self.history.append(x)
    return v + x


def _accumulates(self: Any, x: Any, v: Any) -> Any:
    self.total += x
    return v + x


def _changes_x(self: Any, x: Any, v: Any) -> Any:
    x += v
    return x


def _changes_detached(self: Any, x: Any, v: Any) -> Any:
    h = v + x
    kept = h.detach()
    h *= 2.0
    return h + kept


BAD_CHARGES = {
    "branch": (lambda self, x, v: v if v > x else x, "branches on a value"),
    "reduction": (_branching, "Tensor.sum"),
    "item": (lambda self, x, v: v + x.item(), "Tensor.item"),
    "float": (lambda self, x, v: v + float(x), "plain number"),
    "closure": (lambda self, x, v: v + x * OUTSIDE, "not an attribute of the neuron"),
    "closure first": (lambda self, x, v: OUTSIDE * x + v, "not an attribute of the neuron"),
    "numpy": (lambda self, x, v: v + x * np.ones(4), "neither a symbol nor a number|ndarray"),
    "unknown": (lambda self, x, v: v + torch.lgamma(x), "lgamma"),
    "over neurons": (lambda self, x, v: v + torch.cumsum(x, 0), "cumsum"),
    "maximum over neurons": (lambda self, x, v: v + torch.max(x, 0), "over neurons"),
    "several": (lambda self, x, v: torch.stack([x, v]), "several values"),
    "index": (lambda self, x, v: v + x[0], "TypeError"),
    "shape": (lambda self, x, v: v + x * x.shape[0], "Tensor.shape"),
    "option": (lambda self, x, v: torch.add(v, x, alpha=2), "alpha"),
    "out": (lambda self, x, v: torch.add(v, x, out=v), "out"),
    "digits": (lambda self, x, v: v + torch.round(x, decimals=1), "decimals"),
    "integers": (lambda self, x, v: v + x.to(torch.int32), "torch.int32"),
    "half": (lambda self, x, v: v + x.to(dtype=torch.float16), "torch.float16"),
    "long": (lambda self, x, v: v + x.long(), "Tensor.long"),
    "remainder": (lambda self, x, v: v + x % 2, "TypeError"),
    "random": (lambda self, x, v: v + torch.rand_like(x), "rand_like"),
    "no_grad": (_no_grad, "no_grad"),
    "function": (lambda self, x, v: v + Scripted.apply(x), "autograd.Function"),
    "nothing": (lambda self, x, v: None, "NoneType"),
    "division by zero": (lambda self, x, v: v + x * (1.0 / (0.0 * self.v_threshold)), "ZeroDiv"),
    "missing": (lambda self, x, v: v + x * self.gone, "gone"),
    "attribute": (_sets, "last_input"),
    "training": (_counts, "training"),
    "list": (_records, "history"),
    "buffer": (_accumulates, "total"),
    "input in place": (_changes_x, "input in place"),
    "detached in place": (_changes_detached, "detached"),
}


@pytest.mark.parametrize(("charge", "reason"), BAD_CHARGES.values(), ids=BAD_CHARGES.keys())
def test_a_step_that_cannot_be_traced_says_why(charge, reason):
    node = type("Strange", (neuron.IFNode,), {"charge": charge})()
    node.history = []
    node.register_buffer("total", torch.zeros(4))
    before = dict(vars(node))
    with pytest.raises(TraceError, match=f"Strange cannot be fused(.|\n)*({reason})"):
        trace(node)
    assert vars(node) == before and node.history == [] and not node.total.any()


SURROGATES = {
    "random": (surrogate.PoissonPass(), "PoissonPass"),
    "without primitive": (surrogate.SuperSpike(), "SuperSpike has no primitive"),
    "own forward": (OwnForward(), "OwnForward has a forward"),
    "function": (lambda u: Scripted.apply(u), "autograd.Function"),
    "made function": (lambda u: surrogate.atan.apply(u, 2.0), "autograd.Function"),
    "untraceable": (lambda u: torch.bernoulli(u), "bernoulli"),
}


@pytest.mark.parametrize("case", SURROGATES)
def test_a_surrogate_that_cannot_be_traced_is_named(case):
    function, reason = SURROGATES[case]
    if case == "without primitive":
        function.set_spiking_mode(False)
    with pytest.raises(TraceError, match=f"LIFNode cannot be fused.*{reason}"):
        trace(neuron.LIFNode(surrogate_function=function))


def test_a_step_must_return_what_its_states_ask_for():
    class Short(neuron.IFNode):
        def step(self, x: Any, v: Any) -> Any:
            return ops.fire(x + v, self.surrogate_function)

    with pytest.raises(TraceError, match=r"Short cannot be fused.*\(spike, v\)"):
        trace(Short())
    cls = neuron.from_step(lambda x, v: (x, v, v), states={"v": 0.0}, name="Long")
    with pytest.raises(TraceError, match=r"Long cannot be fused.*got a tuple of 3"):
        trace(cls())


def test_states_are_numbers_and_all_of_them_are_named():
    class Extra(neuron.IFNode):
        def __init__(self) -> None:
            super().__init__()
            self.register_memory("count", 0.0)

        def charge(self, x: Any, v: Any) -> Any:
            self.count = self.count + 1.0
            return v + x

    with pytest.raises(TraceError, match="count"):
        trace(Extra())
    node = neuron.LIFNode()
    node.v = None
    with pytest.raises(TraceError, match="'v' is None, not a number"):
        trace(node)


def test_tracing_works_where_no_gradient_is_recorded():
    expected = trace(neuron.LIFNode()).program
    with torch.no_grad():
        assert trace(neuron.LIFNode()).program == expected
    with torch.inference_mode():
        assert trace(neuron.LIFNode()).program == expected
