"""Steps prepared once: to the bit what the neuron computes when it is called."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from sj_neurons import neuron, ops, surrogate
from sj_neurons.kernels import cpp
from sj_neurons.kernels.stepwise import KernelSteps, TorchSteps, stepwise
from sj_neurons.kernels.trace import trace

T, N, C = 6, 2, 5


def adaptive(x, v, threshold, tau, jump, spikes):
    h = v + (x - v) / tau
    s = ops.fire(h - threshold, spikes)
    return s, ops.where(s > 0.5, -0.1, h), threshold + jump * ops.detach(s)


Adaptive = neuron.from_step(
    adaptive,
    states={"v": 0.0, "threshold": 0.5},
    params={
        "tau": 2.0,
        "jump": torch.nn.Parameter(torch.linspace(0.1, 0.5, C)),
        "spikes": surrogate.ATan(),
    },
    name="Adaptive",
)
NODES: dict[str, Callable[..., neuron.BaseNode]] = {
    "IF": lambda: neuron.IFNode(),
    "LIF soft": lambda: neuron.LIFNode(2.5, v_reset=None),
    "LIF offset": lambda: neuron.LIFNode(2.5, v_threshold=0.7, v_reset=-0.2, decay_input=False),
    "PLIF": lambda: neuron.ParametricLIFNode(3.0),
    "CubaLIF": lambda: neuron.CUBALIFNode(),
    "smooth": lambda: neuron.IFNode(surrogate_function=surrogate.Sigmoid(spiking=False)),
    "own threshold": lambda: neuron.IFNode(torch.linspace(0.5, 2.0, C)),
    "from a step": Adaptive,
}
needs_kernels = pytest.mark.skipif(cpp.why_unavailable() is not None, reason="needs a compiler")
KINDS = [("torch", TorchSteps), pytest.param("cpp", KernelSteps, marks=needs_kernels)]


@pytest.fixture(scope="module", autouse=True)
def kernels() -> None:
    """All programs in one translation unit, which takes far less time to compile."""
    if cpp.why_unavailable() is None:
        programs = [trace(make()).program.text for make in NODES.values()]
        cpp.prepare([(text, dtype) for text in programs for dtype in ("float32", "float64")])


def values(dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (3.0 * torch.rand(T, N, C, generator=generator) - 0.5).to(dtype)


@pytest.mark.parametrize("make", NODES.values(), ids=NODES)
@pytest.mark.parametrize(("backend", "kind"), KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_are_those_of_the_neuron(make, backend, kind, dtype):
    node, x_seq = make().to(dtype), values(dtype)
    node.backend = backend
    with torch.no_grad():
        for _ in range(2):  # from rest, and from where that ended
            before = [
                value.clone() if isinstance(value, Tensor) else value for value in node.memories()
            ]
            run = stepwise(node, x_seq[0], T)
            assert isinstance(run, kind)
            found = torch.stack([run(x) for x in x_seq])
            unchanged = zip(node.memories(), before, strict=True)
            assert all(torch.equal(*map(torch.as_tensor, pair)) for pair in unchanged)
            assert torch.equal(found, torch.stack([node(x) for x in x_seq]))
            assert all(map(torch.equal, run.states, node.memories()))


@pytest.mark.parametrize(("backend", "kind"), KINDS)
def test_nan_and_infinity_are_those_of_the_neuron(backend, kind):
    node = neuron.LIFNode(backend=backend)
    x_seq = torch.tensor([[1.0, torch.nan, torch.inf, -torch.inf, -0.0]] * 3)
    with torch.no_grad():
        run = stepwise(node, x_seq[:1], 3)
        assert isinstance(run, kind)
        found = torch.stack([run(x[None]) for x in x_seq])
        expected = torch.stack([node(x[None]) for x in x_seq])
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(run.states[0], node.v, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("backend", ["torch", pytest.param("cpp", marks=needs_kernels)])
def test_changes_of_the_neuron_are_seen(backend):
    node, x_seq = neuron.LIFNode(backend=backend), values()
    with torch.no_grad():
        for tau, fire in ((2.0, surrogate.Sigmoid()), (4.0, surrogate.Sigmoid(spiking=False))):
            node.tau, node.surrogate_function = tau, fire
            run = stepwise(node, x_seq[0], T)
            assert run is not None
            found = torch.stack([run(x) for x in x_seq])
            node.reset()
            assert torch.equal(found, torch.stack([node(x) for x in x_seq]))
            node.reset()


@needs_kernels
def test_an_input_of_any_layout_and_no_other_shape():
    node = neuron.IFNode(backend="cpp")
    x_seq = values().transpose(1, 2)
    with torch.no_grad():
        run = stepwise(node, x_seq[0], T)
        assert run is not None
        assert torch.equal(torch.stack([run(x) for x in x_seq[:-1]]), node_steps(node, x_seq[:-1]))
        with pytest.raises(ValueError, match=r"expected an input \(5, 2\).*got \(5, 1\)"):
            run(x_seq[0, :, :1])
        with pytest.raises(ValueError, match=r"of torch.float32 as at the first step.*float64"):
            run(x_seq[0].double())


def node_steps(node: neuron.BaseNode, x_seq: Tensor) -> Tensor:
    return torch.stack([node(x) for x in x_seq])


class Hooked(neuron.IFNode):
    def neuronal_charge(self, x):
        self.v = self.v + 2 * x


class Branching(neuron.IFNode):
    def charge(self, x, v):
        return v + x if x.sum() > 0 else v


@pytest.mark.parametrize(
    ("node", "x"),
    [
        (Hooked(), torch.zeros(N, C)),
        (Branching(), torch.zeros(N, C)),
        (neuron.IFNode(), torch.zeros(N, C, dtype=torch.float16)),
        (neuron.IFNode(), torch.zeros(N, C, dtype=torch.int64)),
        (neuron.IFNode(), torch.zeros(N, C, device="meta")),
        (neuron.IFNode(torch.ones(C, dtype=torch.float64)), torch.zeros(N, C)),
    ],
    ids=["hooks", "branch", "half", "counts", "meta", "mixed"],
)
def test_what_cannot_be_prepared(node, x):
    with torch.no_grad():
        assert stepwise(node, x, T) is None


def test_gradients_need_the_neuron():
    assert stepwise(neuron.IFNode(), torch.zeros(N, C), T) is None
    with torch.no_grad(), forward_ad.dual_level():
        assert stepwise(neuron.IFNode(), torch.zeros(N, C), T) is None


@pytest.mark.parametrize("backend", ["torch", pytest.param("cpp", marks=needs_kernels)])
def test_a_state_of_another_shape_is_refused(backend):
    node = neuron.IFNode(backend=backend)
    with torch.no_grad():
        node(torch.zeros(3, C))
        with pytest.raises(ValueError, match=r"IFNode: input \(2, 5\).*state \(3, 5\)"):
            stepwise(node, torch.zeros(N, C), T)
