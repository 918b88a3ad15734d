from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from sj_neurons import functional
from sj_neurons.neuron import CUBALIFNode, IFNode, LIFNode
from sj_neurons.surrogate import ATan
from sj_nir import modules

T, N, C = 9, 2, 3

TAU = torch.tensor([2.0, 3.0, 7.0])
SMALL = torch.tensor([0.0, 0.1, -0.2])
ABOVE = torch.tensor([0.5, 0.8, 1.1])

MAKERS = {
    "I": lambda **o: modules.I(TAU / 10, **o),
    "IF": lambda **o: modules.IF(TAU / 3, ABOVE, SMALL, **o),
    "IF-soft": lambda **o: modules.IF(1.0, ABOVE, SMALL, soft_reset=True, **o),
    "LI": lambda **o: modules.LI(TAU, 1.5, SMALL, **o),
    "LIF": lambda **o: modules.LIF(TAU, TAU, SMALL, ABOVE, SMALL / 2, **o),
    "LIF-soft": lambda **o: modules.LIF(TAU, 2.0, 0.1, ABOVE, soft_reset=True, **o),
    "CubaLI": lambda **o: modules.CubaLI(TAU, 4.0, 2.0, SMALL, TAU / 2, **o),
    "CubaLIF": lambda **o: modules.CubaLIF(TAU, 4.0, 4.0, SMALL, ABOVE, SMALL, TAU, **o),
    "CubaLIF-soft": lambda **o: modules.CubaLIF(2.0, TAU, 4.0, w_in=2.0, soft_reset=True, **o),
}
SPIKING = [name for name in MAKERS if "F" in name]


@pytest.fixture
def x_seq() -> torch.Tensor:
    return 2 * torch.rand(T, N, C, generator=torch.Generator().manual_seed(0)) - 0.4


@pytest.mark.parametrize("name", MAKERS)
def test_many_steps_equal_repeated_single_steps(name, x_seq):
    single, many = MAKERS[name](), MAKERS[name](step_mode="m")
    y = torch.stack([single(x) for x in x_seq])
    assert torch.equal(many(x_seq), y)
    assert y.abs().sum() > 0
    for memory, value in single.named_memories():
        assert torch.equal(getattr(many, memory), value)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("grad", [False, True])
def test_the_fastest_backend_computes_the_same(name, x_seq, grad):
    results = []
    for backend in ("torch", "auto"):
        node = MAKERS[name](step_mode="m", backend=backend)
        for parameter in node.parameters():
            parameter.requires_grad_(grad)
        x = x_seq.clone().requires_grad_(grad)
        y = node(x)
        if grad:
            y.sum().backward()
        gradients = [p.grad for p in (x, *node.parameters())] if grad else []
        results.append((y.detach(), gradients))
    (plain, plain_gradients), (fused, fused_gradients) = results
    assert torch.equal(plain, fused)
    for one, other in zip(plain_gradients, fused_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MAKERS)
def test_reset_restores_the_start_of_every_neuron(name, x_seq):
    node = MAKERS[name](step_mode="m")
    start = torch.as_tensor(node.v)
    first = node(x_seq)
    functional.reset_net(node)
    assert torch.equal(torch.as_tensor(node.v), start)
    assert torch.equal(node(x_seq), first)


@pytest.mark.parametrize("name", MAKERS)
def test_copies_go_on_from_the_same_state(name, x_seq):
    node = MAKERS[name](step_mode="m")
    node(x_seq)
    twins = [copy.deepcopy(node), pickle.loads(pickle.dumps(node))]
    expected = node(x_seq)
    for twin in twins:
        assert torch.equal(twin(x_seq), expected)


def test_parameters_are_saved_and_ask_for_no_gradient(x_seq):
    node, other = MAKERS["LIF"](step_mode="m"), modules.LIF(torch.ones(C), *torch.zeros(4, C))
    assert not any(parameter.requires_grad for parameter in node.parameters())
    file = io.BytesIO()
    torch.save(node.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other.tau, TAU)
    assert modules.LI(nn.Parameter(TAU)).tau.requires_grad


@pytest.mark.parametrize(
    ("general", "plain"),
    [
        (modules.IF(1.0, 0.9, -0.1), IFNode(0.9, -0.1)),
        (modules.IF(1.0, 0.9, soft_reset=True), IFNode(0.9, None)),
        (modules.LIF(3.0, 1.0, -0.1, 0.6, -0.1), LIFNode(3.0, True, 0.6, -0.1)),
        (modules.LIF(3.0, 1.0, 0.0, 0.6, soft_reset=True), LIFNode(3.0, True, 0.6, None)),
        (modules.CubaLIF(2.0, 4.0, 4.0, w_in=2.0), CUBALIFNode(0.5, 0.75, 1.0)),
    ],
)
def test_special_cases_are_the_plain_neurons(general, plain, x_seq):
    plain.surrogate_function = general.surrogate_function
    spikes = []
    for node in (general, plain):
        node.step_mode = "m"
        x = x_seq.clone().requires_grad_()
        y = node(x)
        y.sum().backward()
        spikes.append((y, x.grad))
    torch.testing.assert_close(spikes[0], spikes[1])


@pytest.mark.parametrize("name", SPIKING)
def test_a_detached_reset_is_left_out_of_the_gradient(name, x_seq):
    gradients = []
    for detach in (False, True):
        node = MAKERS[name](step_mode="m", detach_reset=detach, surrogate_function=ATan())
        x = x_seq.clone().requires_grad_()
        node(x).sum().backward()
        gradients.append(x.grad)
    assert not torch.equal(*gradients)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("name", ["LIF", "CubaLI"])
def test_it_compiles(name, x_seq):
    node = MAKERS[name](step_mode="m")
    expected = node(x_seq)
    node.reset()
    compiled = torch.compile(node, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x_seq), expected)


def test_starts_are_kept_small_where_all_are_equal():
    assert modules.LI(TAU, v_leak=torch.full((C,), 0.5)).v == 0.5
    assert torch.equal(modules.LI(TAU, v_leak=SMALL).v, SMALL)
    node = modules.LI(TAU)
    node.start_from(2)
    assert node.v == 2.0 and node.get_reset_value("v") == 2.0


def test_states_of_another_batch_are_refused(x_seq):
    node = MAKERS["LIF"]()
    node(x_seq[0])
    with pytest.raises(ValueError, match=r"input \(1, 3\) does not match the state \(2, 3\)"):
        node(x_seq[0, :1])


def test_whole_numbers_become_floating_point():
    assert modules.I(2).r.dtype == torch.get_default_dtype()
    assert modules.I(torch.tensor(2.0, dtype=torch.float64)).r.dtype == torch.float64
    assert "neurons=(3,)" in repr(MAKERS["LIF"]())
