"""Neurons as pure functions of one step."""

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sj_neurons import functional, neuron, surrogate

N, C = 2, 3
# function, class, hyper-parameters off their defaults
STEPS: list[tuple[Any, Any, dict[str, Any]]] = [
    (functional.if_step, neuron.IFNode, {"v_threshold": 0.5, "v_reset": None}),
    (functional.lif_step, neuron.LIFNode, {"tau": 3.0, "decay_input": False, "v_reset": -0.1}),
    (functional.plif_step, neuron.ParametricLIFNode, {"decay_input": False, "detach_reset": True}),
    (functional.klif_step, neuron.KLIFNode, {"scale_reset": True, "v_reset": None, "tau": 3.0}),
    (functional.liaf_step, neuron.LIAFNode, {"tau": 3.0, "v_reset": None}),
    (functional.ilif_step, neuron.ILIFNode, {"tau": 3.0, "v_threshold": 0.5}),
    (functional.cuba_lif_step, neuron.CUBALIFNode, {"c_decay": 0.2, "v_reset": None}),
    (functional.qif_step, neuron.QIFNode, {"a0": 2.0, "v_c": 0.5, "v_rest": 0.1}),
    (functional.eif_step, neuron.EIFNode, {"delta_T": 0.5, "detach_reset": True}),
    (functional.izhikevich_step, neuron.IzhikevichNode, {"a": 0.3, "b": 0.2, "tau_w": 3.0}),
    (functional.sliding_psn_step, neuron.SlidingPSN, {}),
    (functional.masked_psn_step, neuron.MaskedPSN, {}),
]
# arguments without default, of function and class
REQUIRED: dict[Any, dict[str, Any]] = {
    neuron.LIAFNode: {"act": torch.tanh, "threshold_related": True},
    neuron.SlidingPSN: {"k": 3},
    neuron.MaskedPSN: {"k": 3, "T": 6},
}
EVERY_STEP = pytest.mark.parametrize(
    ("step", "cls", "options"), STEPS, ids=[step.__name__ for step, _, _ in STEPS]
)


def built(cls: Any, **options: Any) -> Any:
    """The neuron in step mode 's', and in the state in which a step function can follow it."""
    torch.manual_seed(0)
    causal = {"lambda_init": 1.0} if cls is neuron.MaskedPSN else {}
    return cls(**REQUIRED.get(cls, {}), **causal, **options)


def arguments(node: Any, **options: Any) -> dict[str, Any]:
    """What the step function of `node` takes after its states."""
    learned = dict(node.named_parameters(recurse=False))
    return {**learned, **REQUIRED.get(type(node), {}), **options}


def states_of(node: Any, dtype: torch.dtype = torch.float32) -> list[Any]:
    return [
        torch.full((N, C), value, dtype=dtype) if isinstance(value, float) else value
        for value in node.memories()
    ]


def assert_same(got: Any, expected: Any) -> None:
    if isinstance(expected, Tensor):
        assert torch.equal(got, expected)
    else:
        assert got == expected


@pytest.fixture
def x() -> Tensor:
    return 2 * torch.rand(6, N, C, generator=torch.Generator().manual_seed(0))


def test_every_step_function_is_tested():
    public = {name for name in functional.__all__ if name.endswith("_step")}
    assert public == {step.__name__ for step, _, _ in STEPS} | {"gated_lif_step"}


@EVERY_STEP
def test_repeated_steps_equal_the_neuron(step, cls, options, x):
    for given in ({}, options, {"surrogate_function": surrogate.ATan()}):
        node = built(cls, **given)
        states = states_of(node)
        for x_t in x:
            output, *states = step(x_t, *states, **arguments(node, **given))
            assert torch.equal(output, node(x_t))
            for state, expected in zip(states, node.memories(), strict=True):
                assert_same(state, expected)


@EVERY_STEP
def test_gradients_equal_those_of_the_neuron(step, cls, options, x):
    node = built(cls, **options).double()
    states = states_of(node, torch.float64)
    x_t, twin = (x[0].double().requires_grad_() for _ in range(2))
    node(x_t).sum().backward()
    step(twin, *states, **arguments(node, **options))[0].sum().backward()
    assert x_t.grad is not None and x_t.grad.any()
    assert torch.equal(twin.grad, x_t.grad)


@EVERY_STEP
def test_signature_names_states_and_hyper_parameters(step, cls, options, x):
    node = built(cls)
    names = list(inspect.signature(step).parameters)
    states = [name for name, _ in node.named_memories()]
    assert names[: 1 + len(states)] == ["x", *states]
    assert not {"step_mode", "backend", "store_v_seq", "self"} & set(names)
    assert cls.__name__ in step.__doc__
    with pytest.raises(TypeError, match="taau"):
        step(x[0], *states_of(node), **arguments(node), taau=2.0)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@EVERY_STEP
def test_steps_compile_into_one_graph(step, cls, options, x):
    node = built(cls)
    inputs = (x[0].clone().requires_grad_(), *states_of(node))
    keywords = arguments(node, **options)
    compiled = torch.compile(step, fullgraph=True, backend="eager")
    got, expected = compiled(*inputs, **keywords), step(*inputs, **keywords)
    for item, other in zip(got, expected, strict=True):
        assert_same(item, other)


def test_a_gated_step_takes_the_input_behind_the_conductance():
    torch.manual_seed(0)
    node = neuron.GatedLIFNode(T=4, inplane=C, store_v_seq=True)
    nn.init.uniform_(node.conduct)
    x = 2 * torch.rand(4, N, C, 1, 1)
    spikes = node(x)
    shut = (1 - node.conduct.sigmoid()) * node.beta.sigmoid()
    parameters = dict(node.named_parameters(recurse=False))
    del parameters["beta"], parameters["conduct"]
    v = last = torch.zeros_like(x[0])
    for t, gate in enumerate(1 - shut):
        gated = x[t] * gate.view(C, 1, 1)
        spike, v, last = functional.gated_lif_step(gated, v, last, **parameters, inplane=C)
        torch.testing.assert_close(spike, spikes[t])
        torch.testing.assert_close(v, node.v_seq[t])
    assert 0 < spikes.mean() < 1


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


def test_parts_of_a_step(x):
    h = functional.lif_charge(x[0], torch.ones(N, C), tau=4.0, decay_input=False, v_reset=0.5)
    torch.testing.assert_close(h, 1 - 0.5 / 4 + x[0])
    spike = (h >= 1).float()
    hard = functional.voltage_reset(h, spike, 1.0, 0.25)
    torch.testing.assert_close(hard, torch.where(spike > 0, 0.25, h))
    soft = functional.voltage_reset(h, spike, v_threshold=2.0, v_reset=None, detach_reset=True)
    torch.testing.assert_close(soft, h - 2 * spike)
    assert "voltage_reset(h, spike)" in functional.voltage_reset.__doc__
