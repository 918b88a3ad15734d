"""Step modes, memories and the functional form."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from sj_neurons import base, functional, neuron


class Counter(base.MemoryModule):
    """Adds up its inputs; remembers a list too."""

    def __init__(self) -> None:
        super().__init__()
        self.register_memory("total", 0.0)
        self.register_memory("seen", [])

    def single_step_forward(self, x: Tensor) -> Tensor:
        self.total = self.total + x
        self.seen.append(tuple(x.shape))
        return self.total


def test_many_steps_loop_over_single_steps():
    module = Counter()
    module.step_mode = "m"
    assert module(torch.ones(3, 2)).tolist() == [[1, 1], [2, 2], [3, 3]]


def test_tuple_outputs_are_stacked_item_by_item():
    class Pair(base.MemoryModule):
        def single_step_forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            return x + y, x - y

    module = Pair()
    module.step_mode = "m"
    total, difference = module(torch.ones(3, 2), torch.ones(3, 2))
    assert total.shape == difference.shape == (3, 2)


def test_no_time_steps_is_an_error():
    module = Counter()
    module.step_mode = "m"
    with pytest.raises(ValueError, match="T = 0"):
        module(torch.ones(0, 2))


def test_reset_restores_a_fresh_copy():
    module = Counter()
    module(torch.ones(2))
    module.reset()
    assert module.total == 0.0
    assert module.seen == []
    module.seen.append("x")
    module.reset()
    assert module.seen == []


def test_reset_value_can_be_changed_and_read():
    module = Counter()
    module.set_reset_value("total", 5.0)
    assert module.total == 0.0
    module.reset()
    assert module.total == 5.0
    assert module.get_reset_value("total") == 5.0
    with pytest.raises(KeyError, match=r"no memory 'v'.*total, seen"):
        module.get_reset_value("v")


def test_a_taken_name_is_refused():
    with pytest.raises(ValueError, match="total has been set"):
        Counter().register_memory("total", 1.0)


def test_memories_act_like_attributes_but_are_not_in_the_state_dict():
    module = Counter()
    module.total = torch.ones(1)
    assert "total" in dir(module)
    assert module.state_dict() == {}
    assert dict(module.named_memories())["total"] is module.total
    del module.total
    with pytest.raises(AttributeError):
        _ = module.total
    module.reset()
    assert not hasattr(module, "total")


def test_state_follows_dtype():
    module = Counter()
    module(torch.ones(2))
    assert module.double().total.dtype == torch.float64


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_has_the_live_state_without_its_graph(clone):
    module = Counter()
    weight = torch.ones(2, requires_grad=True)
    module(weight * 2)
    twin = clone(module)
    assert torch.equal(twin.total, module.total)
    assert not twin.total.requires_grad
    twin(torch.ones(2))
    assert torch.equal(module.total, weight * 2)


def test_detach_cuts_the_past():
    module = Counter()
    old = torch.ones(1, requires_grad=True)
    new = torch.ones(1, requires_grad=True)
    module(old)
    module.detach()
    module(new).backward()
    assert old.grad is None
    assert new.grad is not None


@pytest.mark.parametrize(
    ("cls", "other"), [(base.SingleStepModule, "m"), (base.MultiStepModule, "s")]
)
def test_one_mode_modules_refuse_the_other(cls, other):
    with pytest.raises(ValueError, match=f'step_mode can only be .* but got "{other}"!'):
        cls().step_mode = other


def test_unknown_mode_and_backend_name_the_class():
    module = Counter()
    with pytest.raises(ValueError, match=r'Counter: step_mode .* but got "x"!'):
        module.step_mode = "x"
    with pytest.raises(NotImplementedError, match="cupy is not a supported backend of Counter!"):
        module.backend = "cupy"


def test_memories_of_a_net_have_dotted_names_and_can_be_swapped():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(neuron.IFNode(), neuron.LIFNode()))
    assert [name for name, _ in base.named_memories(net)] == ["1.0.v", "1.1.v"]
    before = base.extract_memories(net)
    net(torch.rand(3, 2))
    assert next(iter(base.memories(net))).shape == (3, 2)
    base.load_memories(net, before)
    assert base.extract_memories(net) == [0.0, 0.0]
    with pytest.raises(ValueError, match="2 memories, got 1"):
        base.load_memories(net, [0.0])


@pytest.mark.parametrize("mode", ["s", "m"])
def test_functional_form_equals_the_module_and_leaves_it_alone(mode):
    net = nn.Sequential(nn.Linear(2, 3), neuron.LIFNode(), nn.Linear(3, 1), neuron.IFNode())
    functional.set_step_mode(net, mode)
    x = torch.rand(*((4,) if mode == "m" else ()), 5, 2)
    run = base.to_functional_forward(net)
    y, states = run((x,), base.extract_memories(net))
    z, _ = run((x,), states)
    assert base.extract_memories(net) == [0.0, 0.0]
    assert torch.equal(net(x), y)
    assert torch.equal(net(x), z)
    assert torch.equal(net[1].v, run((x,), states)[1][0])


@pytest.mark.parametrize("mode", ["s", "m"])
def test_functional_form_of_one_neuron_works_with_torch_func(mode):
    node = neuron.LIFNode(step_mode=mode)
    x = torch.rand(*((4,) if mode == "m" else ()), 3)
    states = node.materialize_states((x,), (0.0,))
    assert states[0].shape == (3,)

    def loss(x: Tensor, v: Tensor) -> Tensor:
        (spike,), (v,) = node.functional_forward((x,), (v,))
        return spike.sum() + v.sum()

    grad_x, grad_v = torch.func.grad(loss, argnums=(0, 1))(x, *states)
    assert grad_x.shape == x.shape
    assert grad_v.shape == (3,)
    assert node.v == 0.0


def test_functional_form_restores_the_state_after_an_error():
    node = neuron.IFNode()
    with pytest.raises(ValueError):
        node.single_step_functional_forward((torch.ones(3),), (torch.ones(2),))
    assert node.v == 0.0
    (spike,), (v,) = node.single_step_functional_forward((torch.ones(3),), (0.0,))
    assert spike.tolist() == [1, 1, 1]
    (spikes,), _ = node.multi_step_functional_forward((torch.ones(2, 3),), (v,))
    assert spikes.shape == (2, 3)


def test_an_exported_container_starts_its_children_at_rest():
    class Twice(base.MemoryModule):
        def __init__(self) -> None:
            super().__init__()
            self.node = neuron.LIFNode()
            self.register_memory("count", 0)
            self.step_mode = "m"

        def single_step_forward(self, x: Tensor) -> Tensor:
            self.count = self.count + 1
            return self.node(x) * self.count

    net = Twice()
    x = 2 * torch.rand(3, 2, 4)
    expected = net(x)
    program = torch.export.export(net, (x,)).module()
    assert torch.equal(program(x), expected)
    assert net.count == 3
    net.step_mode = "s"
    with pytest.raises(RuntimeError, match=r"Twice: torch\.export would freeze the state"):
        torch.export.export(net, (x[0],))


def test_states_are_expanded_for_the_step_mode_that_is_asked_for():
    node = neuron.LIFNode(step_mode="m")
    x = torch.zeros(4, 2, 3)
    assert node.materialize_states((x,), (0.5,))[0].shape == (2, 3)
    assert node.materialize_states((x,), (0.5,), step_mode="s")[0].shape == (4, 2, 3)
    assert Counter().materialize_states((x,), (0.0, []), step_mode="s") == (0.0, [])
