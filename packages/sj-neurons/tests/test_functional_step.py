"""Neurons as pure functions of one step."""

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from sj_neurons import functional, neuron, surrogate

N, C = 2, 3
# function, class, hyper-parameters off their defaults
STEPS: list[tuple[Any, Any, dict[str, Any]]] = [
    (functional.if_step, neuron.IFNode, {"v_threshold": 0.5, "v_reset": None}),
    (functional.lif_step, neuron.LIFNode, {"tau": 3.0, "decay_input": False, "v_reset": -0.1}),
    (functional.plif_step, neuron.ParametricLIFNode, {"decay_input": False, "detach_reset": True}),
]
EVERY_STEP = pytest.mark.parametrize(
    ("step", "cls", "options"), STEPS, ids=[step.__name__ for step, _, _ in STEPS]
)


def learned(node: neuron.BaseNode) -> dict[str, Tensor]:
    return dict(node.named_parameters(recurse=False))


@pytest.fixture
def x() -> Tensor:
    return 2 * torch.rand(6, N, C, generator=torch.Generator().manual_seed(0))


@EVERY_STEP
def test_repeated_steps_equal_the_neuron(step, cls, options, x):
    for given in ({}, options, {"surrogate_function": surrogate.ATan()}):
        node = cls(step_mode="m", **given)
        states = [torch.full((N, C), value) for value in node.memories()]
        spikes = []
        for x_t in x:
            spike, *states = step(x_t, *states, **learned(node), **given)
            spikes.append(spike)
        assert torch.equal(torch.stack(spikes), node(x))
        for state, expected in zip(states, node.memories(), strict=True):
            assert torch.equal(state, expected)


@EVERY_STEP
def test_gradients_equal_those_of_the_neuron(step, cls, options, x):
    node = cls(**options)
    x_t = x[0].double().requires_grad_()
    node.double()(x_t).sum().backward()
    states = [torch.full((N, C), value, dtype=torch.float64) for value in cls().memories()]
    states[0].fill_(options.get("v_reset") or 0.0)
    twin = x[0].double().requires_grad_()
    step(twin, *states, **learned(node), **options)[0].sum().backward()
    assert torch.equal(twin.grad, x_t.grad)


@EVERY_STEP
def test_signature_names_states_and_hyper_parameters(step, cls, options):
    names = list(inspect.signature(step).parameters)
    assert names[: 1 + len(cls.states)] == ["x", *cls.states]
    assert not {"step_mode", "backend", "store_v_seq", "self"} & set(names)
    assert cls.__name__ in step.__doc__
    with pytest.raises(TypeError, match="taau"):
        step(*(torch.zeros(1) for _ in ["x", *cls.states]), **learned(cls()), taau=2.0)


def test_hyper_parameters_may_be_positional_and_tensors(x):
    v = torch.zeros(N, C)
    taus = torch.tensor([2.0, 3.0, 4.0])
    spike, after = functional.lif_step(x[0], v, taus, False, 0.5, None)
    for c, tau in enumerate(taus.tolist()):
        alone = functional.lif_step(x[0], v, tau, decay_input=False, v_threshold=0.5, v_reset=None)
        assert torch.equal(spike[:, c], alone[0][:, c])
        assert torch.equal(after[:, c], alone[1][:, c])


def test_steps_are_made_for_torch_func(x):
    v = torch.full((N, C), 0.1)

    def potential(tau: Tensor) -> Tensor:
        return functional.lif_step(x[0] / 9, v, tau, detach_reset=True)[1].sum()

    # below threshold: v' = v + (x - v) / tau
    slope = torch.func.grad(potential)(torch.tensor(2.0))
    torch.testing.assert_close(slope, -((x[0] / 9 - v).sum()) / 4)
    many = torch.vmap(potential)(torch.tensor([2.0, 5.0]))
    torch.testing.assert_close(many[1], potential(torch.tensor(5.0)))


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@EVERY_STEP
def test_steps_compile_into_one_graph(step, cls, options, x):
    node = cls()
    inputs = (x[0], *(torch.zeros(N, C) for _ in cls.states))
    parameters = {name: w.detach() for name, w in learned(node).items()}
    compiled = torch.compile(step, fullgraph=True, backend="eager")
    for got, expected in zip(
        compiled(*inputs, **parameters, **options),
        step(*inputs, **parameters, **options),
        strict=True,
    ):
        assert torch.equal(got, expected)


def test_parts_of_a_step(x):
    h = functional.lif_charge(x[0], torch.ones(N, C), tau=4.0, decay_input=False, v_reset=0.5)
    torch.testing.assert_close(h, 1 - 0.5 / 4 + x[0])
    spike = (h >= 1).float()
    hard = functional.voltage_reset(h, spike, 1.0, 0.25)
    torch.testing.assert_close(hard, torch.where(spike > 0, 0.25, h))
    soft = functional.voltage_reset(h, spike, v_threshold=2.0, v_reset=None, detach_reset=True)
    torch.testing.assert_close(soft, h - 2 * spike)
    assert "voltage_reset(h, spike)" in functional.voltage_reset.__doc__
