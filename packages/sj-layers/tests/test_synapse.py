"""Synapses with state: filters and delays."""

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_layers.synapse import Delay, SynapseFilter
from sj_neurons import base, functional

T, N, C = 6, 2, 3
MAKERS = {
    "filter": lambda mode: SynapseFilter(tau=3.0, step_mode=mode),
    "learnable": lambda mode: SynapseFilter(tau=3.0, learnable=True, step_mode=mode),
    "delay": lambda mode: Delay(2, mode),
    "no delay": lambda mode: Delay(0, mode),
    "long delay": lambda mode: Delay(T + 3, mode),
}
ALL = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


@pytest.fixture
def x():
    return torch.rand(T, N, C, generator=torch.Generator().manual_seed(0))


def state_of(module):
    return module.queue if isinstance(module, Delay) else module.out_i


# laws of both


@ALL
def test_a_sequence_in_pieces_is_the_whole_sequence(make, x):
    expected = make("m")(x)
    for mode, pieces in itertools.product("sm", ((1,) * T, (2, 3, 1), (T - 1, 1))):
        if mode == "s" and pieces != (1,) * T:
            continue
        module = make(mode)
        got = [module(p[0])[None] if mode == "s" else module(p) for p in x.split(pieces)]
        assert torch.equal(torch.cat(got), expected)
        whole = make("m")
        whole(x)
        assert torch.equal(state_of(module), state_of(whole))


@ALL
def test_gradients_do_not_depend_on_the_mode(make, x):
    gradients = []
    for mode in "sm":
        module, leaf = make(mode), x.clone().requires_grad_()
        y = module(leaf) if mode == "m" else torch.stack([module(x_t) for x_t in leaf])
        (y * torch.arange(y.numel()).view(y.shape)).sum().backward()
        gradients.append([leaf.grad, *(p.grad for p in module.parameters())])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


@ALL
def test_gradients_are_right(make, x):
    def run(x_seq):
        module.reset()
        return module(x_seq)

    module = make("m").double()
    assert torch.autograd.gradcheck(run, x.double().requires_grad_())


@ALL
def test_reset_restores_and_detach_cuts(make, x):
    module = make("m")
    first = module(x)
    module(x.requires_grad_())
    functional.detach_net(module)
    assert not state_of(module).requires_grad
    functional.reset_net(module)
    assert torch.equal(module(x), first)


@ALL
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_outputs_and_state_follow_the_type_of_the_input(make, x, dtype):
    module = make("m")
    exact = module(x)
    y = module(x.to(dtype))
    assert y.dtype == state_of(module).dtype == dtype
    module.reset()
    torch.testing.assert_close(module(x.to(dtype)).float(), exact, rtol=0.02, atol=0.02)


@ALL
def test_the_state_moves_with_the_module_and_is_no_entry_of_the_state_dict(make, x):
    module = make("m")
    module(x)
    assert state_of(module.double()).dtype == torch.float64
    assert set(module.state_dict()) <= {"w"}
    twin = copy.deepcopy(module)
    assert torch.equal(twin(x), module(x))


@ALL
def test_channels_last_images_stay_so(make, x):
    images = torch.rand(T * N, C, 5, 5).to(memory_format=torch.channels_last)
    y = make("m")(images.unflatten(0, (T, N)))
    assert y.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y, make("m")(images.contiguous().unflatten(0, (T, N))))


@ALL
@pytest.mark.parametrize("mode", ["s", "m"])
# raised inside torch's own tracer, for states with a graph
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_compiles_without_graph_break(make, x, mode):
    torch.compiler.reset()  # it counts the classes that share one forward
    module, reference = make(mode), make(mode)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    for _ in range(2):
        for value in [x] if mode == "m" else x:
            torch.testing.assert_close(compiled(value), reference(value))


@ALL
def test_the_functional_form_leaves_the_module_alone(make, x):
    module, reference = make("m"), make("m")
    module(x)
    before = base.extract_memories(module)
    at_rest = [module.get_reset_value(name) for name, _ in module.named_memories()]
    (y,), (state,) = module.functional_forward([x], at_rest)
    assert torch.equal(y, reference(x))
    assert torch.equal(state, state_of(reference))
    assert base.extract_memories(module)[0] is before[0]


@ALL
def test_new_shapes_without_reset_are_refused(make, x):
    module = make("m")
    module(x)
    with pytest.raises(ValueError, match=r"input \(1, 3\).*state \(2, 3\).*reset\(\)"):
        module(x[:, :1])


@ALL
def test_sequences_without_steps_are_refused(make, x):
    with pytest.raises(ValueError, match=r"expected a sequence \[T, N, \*\] with T > 0"):
        make("m")(x[:0])


# the filter


@settings(max_examples=20)
@given(tau=st.floats(1.1, 50.0))
def test_a_current_decays_between_spikes_and_not_at_them(tau):
    synapse = SynapseFilter(tau, step_mode="m")
    y = synapse(torch.tensor([[1.0], [0.0], [0.0], [1.0]]).double()).flatten()
    left = 1 - 1 / tau
    torch.testing.assert_close(y, torch.tensor([1, left, left**2, left**2 + 1]).double())


@given(tau=st.floats(1.1, 50.0))
def test_the_learnable_filter_starts_as_the_fixed_one(tau):
    synapse = SynapseFilter(tau, learnable=True)
    assert synapse.tau == pytest.approx(tau, rel=1e-5)
    assert synapse.w.sigmoid().item() == pytest.approx(1 / tau, rel=1e-5)


def test_the_time_constant_learns():
    synapse = SynapseFilter(4.0, learnable=True, step_mode="m").double()
    x = torch.tensor([[1.0], [0.0]]).double()
    synapse(x)[1].sum().backward()
    rate = synapse.w.detach().sigmoid()
    torch.testing.assert_close(synapse.w.grad, -rate * (1 - rate))  # y = 1 - sigmoid(w)


def test_the_graph_of_the_filter_grows_with_the_steps_only():
    def nodes(steps):
        synapse = SynapseFilter(4.0, step_mode="m")
        found, ends = set(), [synapse(torch.rand(steps, 1, requires_grad=True)).grad_fn]
        while ends:
            node = ends.pop()
            if node is not None and node not in found:
                found.add(node)
                ends.extend(function for function, _ in node.next_functions)
        names = [node.name() for node in found]
        assert not any("Select" in name for name in names)
        return len(names)

    assert nodes(40) - nodes(30) == nodes(30) - nodes(20)


@pytest.mark.parametrize("dtype", [torch.long, torch.bool])
def test_whole_numbers_are_filtered_as_floats(x, dtype):
    spikes = x > 0.5
    expected = SynapseFilter(2.0, step_mode="m")(spikes.float())
    assert torch.equal(SynapseFilter(2.0, step_mode="m")(spikes.to(dtype)), expected)
    assert torch.equal(SynapseFilter(2.0)(spikes[0].to(dtype)), expected[0])


def test_states_are_materialised_to_the_input(x):
    synapse = SynapseFilter(2.0)
    (state,) = synapse.materialize_states([x], [0.5], "m")
    assert torch.equal(state, torch.full((N, C), 0.5))
    (state,) = synapse.materialize_states([x[0]], [0.5])
    assert state.shape == (N, C)


@pytest.mark.parametrize("tau", [1.0, 0.5, float("nan")])
def test_a_time_constant_of_one_step_is_refused(tau):
    with pytest.raises(ValueError, match="tau must be greater than 1 step"):
        SynapseFilter(tau)


def test_repr():
    assert (
        repr(SynapseFilter(tau=100.0)) == "SynapseFilter(tau=100.0, learnable=False, step_mode=s)"
    )
    assert repr(SynapseFilter(2.0, True, "m")) == (
        "SynapseFilter(tau=2.0, learnable=True, step_mode=m)"
    )
    assert repr(Delay(3)) == "Delay(delay_steps=3, step_mode=s)"


# the delay


@given(steps=st.integers(1, 7), delay_steps=st.integers(0, 9))
def test_what_goes_in_comes_out_later(steps, delay_steps):
    x = torch.arange(1.0, steps + 1).view(steps, 1)
    delay = Delay(delay_steps, step_mode="m")
    assert torch.equal(delay(x), functional.delay(x, delay_steps))
    assert len(delay.queue) == delay_steps
    rest = delay(torch.zeros(delay_steps + 1, 1))  # flushes what is under way
    assert rest[rest > 0].tolist() == x[max(steps - delay_steps, 0) :].flatten().tolist()


def test_the_queue_holds_copies(x):
    delay, buffer = Delay(1), x[0].clone()
    delay(buffer)
    buffer.zero_()
    assert torch.equal(delay(x[1]), x[0])


def test_the_queue_does_not_hold_the_sequence(x):
    delay = Delay(1, step_mode="m")
    delay(x)
    assert delay.queue.untyped_storage().nbytes() == x[0].untyped_storage().nbytes() / T


def test_bad_delays_are_refused():
    with pytest.raises(ValueError, match="delay_steps must be 0 or more, got -1"):
        Delay(-1)
    with pytest.raises(TypeError, match=r"delay_steps must be a whole number, got 1\.5"):
        Delay(1.5)
    delay = Delay(1)
    with pytest.raises(AttributeError):
        delay.delay_steps = 2
