"""The traced step is the step: the same numbers and the same gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sj_neurons import neuron, ops, surrogate
from sj_neurons.kernels.differentiate import differentiate
from sj_neurons.kernels.trace import state_names, trace

T = 5
_NAMES = {"not": "logical_not", "and": "logical_and", "or": "logical_or"}


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def evaluated(graph: Any, inputs: dict[str, Tensor]) -> list[Tensor]:
    """The value of each node, by torch."""
    values: list[Tensor] = []
    for node in graph:
        if node.op == "literal":
            values.append(number(node.value))
        elif node.op == "input":
            values.append(inputs[node.value])
        elif node.op == "fire":
            values.append(values[node.args[0]])
        else:
            args: list[Any] = [values[i] for i in node.args]
            if node.op == "pow" and args[1].dim() == 0:
                args[1] = args[1].item()  # torch has its own ways with some exponents
            values.append(getattr(torch, _NAMES.get(node.op, node.op))(*args))
    return values


def of_program(
    node: Any, x: Tensor, first: list[Tensor], weight: Tensor, last_weights: list[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs and last states; gradients to x, to the first states and to the parameters."""
    made = trace(node)
    adjoint = differentiate(made.program)
    parameters = made.parameters(node, x.dim() - 1, torch.float64)
    constants = {f"k{i}": number(k) for i, k in enumerate(made.numbers)}
    constants |= {f"p{i}": p.detach() for i, p in enumerate(parameters)}
    steps, outputs, states = [], [], first
    for x_t in x:
        steps.append(constants | {"x": x_t, **{f"v{i}": v for i, v in enumerate(states)}})
        values = evaluated(made.program.nodes, steps[-1])
        spike, *states = (values[i].expand_as(x_t) for i in made.program.outputs)
        outputs.append(spike)

    zero, gradients = torch.zeros_like(x[0]), last_weights
    of_x, shares = [], [torch.zeros_like(p) for p in parameters]
    for inputs, gs in zip(reversed(steps), weight.flip(0), strict=True):
        incoming = {"gs": gs, **{f"g{i}": g for i, g in enumerate(gradients)}}
        values = evaluated(adjoint.graph, inputs | incoming)

        def value(index: int | None, values: list[Tensor] = values) -> Tensor:
            return zero if index is None else values[index].expand_as(zero)

        of_x.insert(0, value(adjoint.x))
        gradients = [value(i) for i in adjoint.states]
        for i, index in enumerate(adjoint.parameters):
            shares[i] = shares[i] + value(index).sum_to_size(shares[i].shape)
    return (
        [torch.stack(outputs), *states],
        [torch.stack(of_x), *gradients, *through(parameters, shares, list(node.parameters()))],
    )


def through(parameters: list[Tensor], shares: list[Tensor], learned: list[Tensor]) -> list[Tensor]:
    """Gradients to what the neuron learns, from those to the parameters of its program."""
    pairs = [(p, g) for p, g in zip(parameters, shares, strict=True) if p.requires_grad]
    if not pairs or not learned:
        return [torch.zeros_like(p) for p in learned]
    roots, gradients = zip(*pairs, strict=True)
    return list(
        torch.autograd.grad(roots, learned, gradients, allow_unused=True, materialize_grads=True)
    )


def of_torch(
    node: Any, x: Tensor, first: list[Tensor], weight: Tensor, last_weights: list[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    inputs = [tensor.clone().requires_grad_() for tensor in (x, *first)]
    names = state_names(node)
    node.reset()
    for name, value in zip(names, inputs[1:], strict=True):
        setattr(node, name, value)
    call = neuron.BaseNode.multi_step_forward  # a gated neuron weighs its input before
    outputs = [call(node, inputs[0]), *(getattr(node, name) for name in names)]
    node.reset()
    loss = sum((o * w).sum() for o, w in zip(outputs, (weight, *last_weights), strict=True))
    wanted = [*inputs, *node.parameters()]
    if not loss.requires_grad:
        return outputs, [torch.zeros_like(tensor) for tensor in wanted]
    found = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
    return outputs, list(found)


def check(node: Any, *shape: int) -> None:
    node = node.double()
    torch.manual_seed(0)
    shape = shape or (6, 3)
    x = 3 * torch.rand(T, *shape, dtype=torch.float64) - 1
    states = [torch.rand_like(x[0]) for _ in state_names(node)]
    arguments = (x, states, torch.randn_like(x), [torch.randn_like(v) for v in states])
    ours, theirs = of_program(node, *arguments), of_torch(node, *arguments)
    assert theirs[0][0].unique().numel() > 1
    for mine, reference in zip(ours[0], theirs[0], strict=True):
        assert torch.equal(mine, reference.detach().expand_as(mine))
    for mine, reference in zip(ours[1], theirs[1], strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-12, atol=1e-12)


RESETS = [
    {"v_reset": reset, "detach_reset": detach}
    for reset in (0.0, -0.2, None)
    for detach in (False, True)
]
SOFT = [{"detach_reset": detach} for detach in (False, True)]
CHANNELS = torch.tensor([0.5, 0.8, 1.2])
FAMILIES = {
    "IF": (neuron.IFNode, RESETS),
    "IF by channel": (lambda **kw: neuron.IFNode(v_threshold=CHANNELS, **kw), RESETS),
    "LIF": (lambda **kw: neuron.LIFNode(3.0, **kw), RESETS),
    "LIF without decay": (lambda **kw: neuron.LIFNode(3.0, False, **kw), RESETS),
    "PLIF": (neuron.ParametricLIFNode, RESETS),
    "PLIF without decay": (lambda **kw: neuron.ParametricLIFNode(3.0, False, **kw), RESETS),
    "KLIF": (neuron.KLIFNode, RESETS),
    "KLIF scaled": (lambda **kw: neuron.KLIFNode(True, **kw), RESETS),
    "QIF": (lambda **kw: neuron.QIFNode(v_rest=0.1, **kw), RESETS),
    "EIF": (neuron.EIFNode, RESETS),
    "Izhikevich": (lambda **kw: neuron.IzhikevichNode(a=0.3, b=0.2, **kw), RESETS),
    "LIAF relu": (lambda **kw: neuron.LIAFNode(torch.relu, True, **kw), RESETS),
    "LIAF sigmoid": (lambda **kw: neuron.LIAFNode(torch.sigmoid, False, **kw), RESETS),
    "LIAF module": (lambda **kw: neuron.LIAFNode(nn.ReLU(), True, **kw), RESETS),
    "LIAF in place": (lambda **kw: neuron.LIAFNode(nn.LeakyReLU(inplace=True), False), [{}]),
    "LIAF lambda": (lambda **kw: neuron.LIAFNode(lambda h: 2.0 * h, True, **kw), RESETS),
    "CUBALIF": (neuron.CUBALIFNode, RESETS),
    "HalfThresholdIF": (neuron.HalfThresholdIFNode, SOFT),
    "ActivationAwareIF": (
        lambda **kw: neuron.ActivationAwareIFNode(CHANNELS, CHANNELS / 9, **kw),
        RESETS,
    ),
    "ComplementaryLIF": (neuron.ComplementaryLIFNode, SOFT),
    "ILIF": (neuron.ILIFNode, SOFT),
    "STBIF": (lambda: neuron.STBIFNeuron(0.4, 8, True), [{}]),
    "TernaryIF": (neuron.TernaryIFNode, RESETS),
    "TernaryLIF": (lambda **kw: neuron.TernaryLIFNode(3.0, **kw), RESETS),
    "RAF": (neuron.RAFNode, RESETS),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_traced_neuron_and_its_adjoint_are_the_neuron(family):
    make, settings = FAMILIES[family]
    for arguments in settings:
        check(make(**arguments))


@pytest.mark.parametrize("inplane", [None, 3])
def test_a_traced_gated_neuron_is_the_neuron(inplane):
    torch.manual_seed(1)
    check(neuron.GatedLIFNode(T, inplane), 2, 3, 2, 2)


SURROGATES = [
    getattr(surrogate, name)
    for name in surrogate.__all__
    if name[0].isupper() and name not in ("SurrogateFunction", "PoissonPass")
]


@pytest.mark.parametrize("cls", SURROGATES)
@pytest.mark.parametrize("spiking", [True, False])
def test_every_surrogate_is_traced_with_its_derivative(cls, spiking):
    function = cls(3) if cls is surrogate.MultiLevelSpikeCount else cls()
    function.set_spiking_mode(spiking)
    if not spiking and cls in (surrogate.SuperSpike, surrogate.FakeNumericalGradient):
        pytest.skip("has no primitive")
    check(neuron.LIFNode(v_threshold=0.4, surrogate_function=function))
    check(neuron.TernaryIFNode(surrogate_function=function))


def test_surrogates_written_as_functions():
    check(neuron.IFNode(surrogate_function=lambda u: torch.sigmoid(4.0 * u)))
    straight = neuron.IFNode(
        surrogate_function=lambda u: (u >= 0).to(u) + (F.softsign(u) - F.softsign(u).detach())
    )
    check(straight)


def test_two_surrogates_of_a_class_keep_their_numbers():
    def step(x, v, up, down):
        h = v + x
        spike = ops.fire(h - 1.0, up) - ops.fire(-h - 1.0, down)
        return spike, h - spike

    params = {"up": surrogate.ATan(2.0), "down": surrogate.ATan(5.0)}
    check(neuron.from_step(step, states={"v": 0.0}, params=params)())


def adaptive(x, v, threshold, tau, jump, spike):
    h = v + (x - v) / tau
    s = ops.fire(h - threshold, spike)
    return s, (1.0 - s) * h, threshold + jump * s


def test_neurons_made_from_step_functions():
    params = {"tau": 2.0, "jump": nn.Parameter(torch.rand(3)), "spike": surrogate.ATan()}
    cls = neuron.from_step(adaptive, states={"v": 0.0, "threshold": 1.0}, params=params)
    check(cls())
    check(cls(jump=nn.Parameter(torch.tensor(0.3)), tau=nn.Parameter(torch.rand(6, 1) + 1.0)))
