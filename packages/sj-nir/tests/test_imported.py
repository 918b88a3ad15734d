from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

import sj_nir
from sj_neurons import functional
from sj_neurons.neuron import IFNode, LIFNode


@pytest.fixture
def net() -> sj_nir.ImportedNet:
    source = nn.Sequential(nn.Linear(3, 4), IFNode(), nn.Linear(4, 2), LIFNode())
    return sj_nir.import_from_nir(sj_nir.export_to_nir(source, torch.rand(1, 3)))


@pytest.fixture
def x() -> torch.Tensor:
    return torch.rand(5, 3, generator=torch.Generator().manual_seed(0)) * 3


def test_state_has_an_entry_for_every_node(net, x):
    _, state = net(x)
    assert list(state) == ["input_1", "_0", "_1", "_2", "_3", "output"]
    assert [name for name, value in state.items() if value is not None] == ["_1", "_3"]
    assert state["_1"]["v"].shape == (5, 4)


def test_passing_a_state_goes_on_from_it(net, x):
    _, state = net(x)
    second, _ = net(x)
    net(x)
    again, _ = net(x, state)
    by_keyword, _ = net(x, state=state)
    assert torch.equal(again, second) and torch.equal(by_keyword, second)


def test_a_state_is_a_snapshot(net, x):
    _, state = net(x)
    before = state["_1"]["v"].clone()
    net(x, state)
    assert torch.equal(state["_1"]["v"], before)


def test_none_sets_a_node_back(net, x):
    first, state = net(x)
    again, _ = net(x, dict.fromkeys(state))
    assert torch.equal(again, first)


def test_nodes_left_out_keep_their_state(net, x):
    net(x)
    second, _ = net(x)
    functional.reset_net(net)
    net(x)
    assert torch.equal(net(x, {})[0], second)


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ([1], TypeError, "state must be the dict"),
        ({"_9": None}, ValueError, "unknown node '_9'; the nodes are input_1, _0"),
        ({"_0": {"v": 0.0}}, ValueError, "node '_0' keeps no state"),
        ({"_1": torch.zeros(1)}, TypeError, "expected a dict of memories for node '_1'"),
        ({"_1": {"i": 0.0}}, ValueError, r"node '_1' has the memories \['v'\], got \['i'\]"),
    ],
)
def test_bad_states_are_named(net, x, state, error, message):
    with pytest.raises(error, match=message):
        net(x, state)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_copies_have_a_state_of_their_own(net, x, duplicate):
    net(x)
    other = duplicate(net)
    a, state = net(x)
    b, other_state = other(x)
    assert torch.equal(a, b) and list(state) == list(other_state)
    other(x)
    assert torch.equal(net.states()["_1"]["v"], state["_1"]["v"])


def test_it_follows_the_usual_functions(net, x):
    functional.set_step_mode(net, "m")
    out, _ = net(x.expand(7, 5, 3))
    assert out.shape == (7, 5, 2)
    net.load_state_dict(net.state_dict())
    assert net.eval().training is False


def test_without_gradients_values_are_the_same_to_the_bit(net, x):
    functional.set_step_mode(net, "m")
    x_seq = torch.stack([x, x * 2, x * 0, x, x])
    expected = [net(x_seq) for _ in range(2)]
    functional.reset_net(net)
    with torch.no_grad():
        found = [net(x_seq) for _ in range(2)]
    for (out, state), (expected_out, expected_state) in zip(found, expected, strict=True):
        assert torch.equal(out, expected_out)
        for name in ("_1", "_3"):
            assert torch.equal(state[name]["v"], expected_state[name]["v"])


@pytest.mark.parametrize("path", ["", "_0", "_1", "_1.surrogate_function"])
def test_hooks_are_called_without_gradients(net, x, path):
    functional.set_step_mode(net, "m")
    calls = []
    net.get_submodule(path).register_forward_hook(lambda *_: calls.append(path))
    with torch.no_grad():
        net(x.expand(7, 5, 3))
    assert len(calls) == (7 if path.endswith("function") else 1)


def test_forward_may_be_replaced(net, x):
    net.forward = lambda *inputs: ("replaced", inputs[-1])
    with torch.no_grad():
        assert net(x)[0] == "replaced"


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch", "ignore::UserWarning:torch")
def test_it_compiles(net, x):
    expected = [net(x)[0] for _ in range(3)]
    functional.reset_net(net)
    compiled = torch.compile(net, backend="eager")
    with torch.no_grad():
        outputs = [compiled(x)[0] for _ in range(3)]
    assert all(torch.equal(a, b) for a, b in zip(outputs, expected, strict=True))
    torch._dynamo.reset()


def test_it_can_be_exported_again(net, x):
    graph = sj_nir.export_to_nir(net, x)
    assert list(graph.nodes) == ["input_1", "_0", "_1", "_2", "_3", "output"]
    out, _ = net(x)
    assert torch.equal(sj_nir.import_from_nir(graph)(x)[0], out)
