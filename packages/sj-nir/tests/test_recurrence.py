from __future__ import annotations

import copy
import pickle

import nir
import numpy as np
import pytest
import torch
from torch import Tensor

import sj_nir
from sj_neurons import functional
from sj_neurons.neuron import LIFNode
from sj_nir.recurrence import EXTERNAL, INNER, PREVIOUS, Loop, LoopNode

T, N = 6, 3


def recurrent() -> nir.NIRGraph:
    """input(2) -> fc -> lif <-> rec, lif -> head -> output(1); the recurrence has a bias."""
    rng = np.random.default_rng(0)
    full = lambda value: np.full(4, value)  # noqa: E731
    return nir.NIRGraph(
        {
            "input": nir.Input(np.array([2])),
            "fc": nir.Affine(rng.normal(size=(4, 2)) * 2, rng.normal(size=4)),
            "lif": nir.LIF(full(4e-4), full(1.0), full(0.0), full(0.4), full(0.0)),
            "rec": nir.Affine(rng.normal(size=(4, 4)), full(0.8)),
            "head": nir.Linear(rng.normal(size=(1, 4))),
            "output": nir.Output(np.array([1])),
        },
        [
            ("input", "fc"),
            ("fc", "lif"),
            ("rec", "lif"),
            ("lif", "rec"),
            ("lif", "head"),
            ("head", "output"),
        ],
        type_check=False,
    )


def x_seq() -> Tensor:
    return torch.randn(T, N, 2, generator=torch.Generator().manual_seed(0)) * 3


def by_hand(cut: str) -> Tensor:
    """The same, from its equations."""
    nodes = recurrent().nodes
    w = {name: torch.tensor(nodes[name].weight).float() for name in ("fc", "rec", "head")}
    b = {name: torch.tensor(nodes[name].bias).float() for name in ("fc", "rec")}
    v, z, fed_back, out = torch.zeros(N, 4), torch.zeros(N, 4), torch.zeros(N, 4), []
    for x in x_seq():
        if cut == "neuron":
            fed_back = z @ w["rec"].T + b["rec"]
        v = v + (x @ w["fc"].T + b["fc"] + fed_back - v) / 4
        z = (v > 0.4).float()
        v = v * (1 - z)
        fed_back = z @ w["rec"].T + b["rec"]
        out.append(z @ w["head"].T)
    return torch.stack(out)


@pytest.mark.parametrize("cut", ["neuron", "current"])
@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_loops_compute_what_their_equations_say(cut, step_mode):
    net = sj_nir.import_from_nir(recurrent(), step_mode=step_mode, cut=cut)
    x = x_seq()
    out = net(x)[0] if step_mode == "m" else torch.stack([net(step)[0] for step in x])
    assert by_hand("neuron").unique().numel() > 2 and not torch.equal(
        by_hand("neuron"), by_hand("current")
    )
    torch.testing.assert_close(out, by_hand(cut))


def test_only_the_loop_runs_step_by_step():
    net = sj_nir.import_from_nir(recurrent(), step_mode="m")
    calls = {"fc": 0, "lif_loop": 0, "lif_loop.lif": 0, "head": 0}
    for path in calls:
        net.get_submodule(path).register_forward_hook(
            lambda *_, path=path: calls.__setitem__(path, calls[path] + 1)
        )
    net(x_seq())
    assert calls == {"fc": 1, "lif_loop": 1, "lif_loop.lif": T, "head": 1}


@pytest.mark.parametrize(("cut", "memory"), [("neuron", "lif"), ("current", "rec")])
def test_the_state_holds_what_was_fed_back(cut, memory):
    net = sj_nir.import_from_nir(recurrent(), cut=cut)
    x = x_seq()
    assert net.states()[f"{memory}_prev_output"] is None
    _, state = net(x[0])
    assert list(state) == ["input", "fc", "lif", "rec", "head", "output", f"{memory}_prev_output"]
    assert state[f"{memory}_prev_output"].shape == (N, 4)
    second, _ = net(x[1])
    net(x[2])
    assert torch.equal(net(x[1], state)[0], second)
    functional.reset_net(net)
    assert net.states()[f"{memory}_prev_output"] is None
    first, _ = net(x[0])
    assert torch.equal(net(x[0], dict.fromkeys(state))[0], first)
    with pytest.raises(TypeError, match=f"expected a tensor or None for '{memory}_prev_output'"):
        net(x[0], {f"{memory}_prev_output": 3})


def test_sequences_go_on_where_the_last_ended():
    whole, parts = (sj_nir.import_from_nir(recurrent(), step_mode="m") for _ in range(2))
    x = x_seq()
    out = torch.cat([parts(x[:2])[0], parts(x[2:])[0]])
    torch.testing.assert_close(out, whole(x)[0], rtol=0, atol=0)


def test_it_follows_the_usual_functions():
    net = sj_nir.import_from_nir(recurrent())
    x = x_seq()
    expected = torch.stack([net(step)[0] for step in x])
    functional.reset_net(net)
    functional.set_step_mode(net, "m")
    assert net.get_submodule("lif_loop.lif").step_mode == "s"
    torch.testing.assert_close(net(x)[0], expected, rtol=0, atol=0)
    functional.detach_net(net)
    functional.reset_net(net)
    functional.set_backend(net, "auto")
    torch.testing.assert_close(net(x)[0], expected, rtol=0, atol=0)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_copies_have_a_state_of_their_own(duplicate):
    net = sj_nir.import_from_nir(recurrent())
    x = x_seq()
    net(x[0])
    other = duplicate(net)
    assert torch.equal(other(x[1])[0], net(x[1])[0])
    other(x[2])
    assert not torch.equal(other.states()["lif_prev_output"], net.states()["lif_prev_output"])
    other.load_state_dict(net.state_dict())


def test_gradients_go_through_time():
    net = sj_nir.import_from_nir(recurrent(), step_mode="m")
    net(x_seq())[0][-1].sum().backward()
    assert net.get_submodule("lif_loop.rec").weight.grad.abs().sum() > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch", "ignore::UserWarning:torch")
def test_it_compiles():
    net = sj_nir.import_from_nir(recurrent(), step_mode="m")
    x = x_seq()
    with torch.no_grad():
        expected = net(x)[0]
        functional.reset_net(net)
        compiled = torch.compile(net, backend="eager", fullgraph=True)
        assert torch.equal(compiled(x)[0], expected)
    torch._dynamo.reset()


def test_another_batch_size_needs_a_reset():
    net = sj_nir.import_from_nir(recurrent())
    net(x_seq()[0])
    with pytest.raises(ValueError, match=r"lif_prev_output: expected shape \(1, 4\).*reset_net"):
        net(x_seq()[0, :1])


def test_a_delay_in_a_loop_adds_to_its_step():
    """x -> n <-> d: a spike comes back after the two steps of d and the one of the loop."""
    graph = nir.NIRGraph(
        {
            "x": nir.Input(np.array([1])),
            "n": nir.LIF(*(np.full(1, v) for v in (1e-3, 1.0, 0.0, 0.0, 0.0))),
            "d": nir.Delay(np.full(1, 2e-3)),
            "y": nir.Output(np.array([1])),
        },
        [("x", "n"), ("d", "n"), ("n", "d"), ("n", "y")],
        type_check=False,
    )
    pulse = torch.zeros(8, 1, 1)
    pulse[0] = 1.0
    for step_mode in "sm":
        net = sj_nir.import_from_nir(graph, dt=9e-4, step_mode=step_mode)
        out = net(pulse)[0] if step_mode == "m" else torch.stack([net(x)[0] for x in pulse])
        assert out.flatten().tolist() == [1, 0, 0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize("backend", ["torch", "auto"])
@pytest.mark.parametrize("cut", ["neuron", "current"])
def test_without_gradients_values_are_the_same_to_the_bit(backend, cut):
    net = sj_nir.import_from_nir(recurrent(), step_mode="m", cut=cut)
    functional.set_backend(net, backend)
    x = x_seq()
    expected = [net(x) for _ in range(2)]
    functional.reset_net(net)
    with torch.no_grad():
        found = [net(x) for _ in range(2)]
    for (out, state), (expected_out, expected_state) in zip(found, expected, strict=True):
        assert torch.equal(out, expected_out)
        for name, memory in expected_state.items():
            for key, value in (memory or {}).items() if isinstance(memory, dict) else ():
                assert torch.equal(state[name][key], value)
            if isinstance(memory, Tensor):
                assert torch.equal(state[name], memory)
                assert state[name].untyped_storage().nbytes() == memory.nbytes


@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_nodes_of_a_loop_that_share_a_module_share_its_state(backend):
    node = LIFNode(3.0, backend=backend)
    nodes = (
        LoopNode("a", ((EXTERNAL, 0), (PREVIOUS, 0))),
        LoopNode("b", ((INNER, 0), (EXTERNAL, 0))),
    )
    loop = Loop({"a": node, "b": node}, nodes, ((1, (4,)),), (1,), step_mode="m")
    x = torch.randn(T, N, 4, generator=torch.Generator().manual_seed(1)) * 4
    expected, v = loop(x), node.v
    functional.reset_net(loop)
    with torch.no_grad():
        assert torch.equal(loop(x), expected) and torch.equal(node.v, v)


def test_several_outputs_of_a_loop():
    graph = recurrent()
    graph.edges.append(("rec", "output"))
    graph.nodes["head"] = nir.Linear(np.ones((4, 4)))
    graph.nodes["output"] = nir.Output(np.array([4]))
    net = sj_nir.import_from_nir(graph)
    assert isinstance(net.get_submodule("lif_loop"), Loop)
    single = torch.stack([net(step)[0] for step in x_seq()])
    functional.reset_net(net)
    functional.set_step_mode(net, "m")
    torch.testing.assert_close(net(x_seq())[0], single, rtol=0, atol=0)
