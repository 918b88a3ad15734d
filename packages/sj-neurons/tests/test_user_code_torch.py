"""What users do with neurons and torch's transformations: compile, export, func, CUDA graphs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from sj_neurons import base, functional, neuron

T, N = 4, 2
NEURONS = [neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode]
# torch warns about itself while it compiles
COMPILED = pytest.mark.filterwarnings(
    "ignore:.*should not be instantiated:DeprecationWarning", "ignore:The .grad attribute"
)


def two_layers(step_mode: str = "s") -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(3, 5), neuron.LIFNode(v_threshold=0.3), nn.Linear(5, 2), neuron.IFNode()
    )
    functional.set_step_mode(net, step_mode)
    return net


@pytest.fixture
def x_seq() -> Tensor:
    return 2 * torch.rand(T, N, 3, generator=torch.Generator().manual_seed(0))


@COMPILED
@pytest.mark.parametrize("cls", NEURONS)
@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("training", [True, False])
def test_compiled_neurons_are_one_graph(cls, mode, training, x_seq):
    torch._dynamo.reset()
    node = cls(step_mode=mode).train(training)
    twin = cls(step_mode=mode).train(training)
    compiled = torch.compile(node, fullgraph=True, backend="aot_eager")

    def run(module: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        return module(x) if mode == "m" else torch.stack([module(x_t) for x_t in x])

    x, y = x_seq.clone().requires_grad_(), x_seq.clone().requires_grad_()
    spikes, expected = run(compiled, x), run(twin, y)
    assert torch.equal(spikes, expected)
    assert torch.equal(node.v, twin.v)
    spikes.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    node.reset()
    assert torch.equal(run(compiled, x_seq), expected)


@COMPILED
def test_a_compiled_training_step_of_a_net(x_seq):
    torch._dynamo.reset()
    net, twin = two_layers("m"), two_layers("m")
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    for module, call in ((net, compiled), (twin, twin)):
        with functional.sequence(module):
            call(x_seq).mean().backward()
    for w, expected in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(w.grad, expected.grad)


@pytest.mark.parametrize("mode", ["s", "m"])
def test_an_ensemble_is_one_vmap(mode, x_seq):
    members = [two_layers(mode) for _ in range(3)]
    for i, member in enumerate(members):
        nn.init.constant_(member[0].bias, i - 1.0)
    net = members[0]
    weights, _ = torch.func.stack_module_state(members)  # pyright: ignore[reportArgumentType]
    x = x_seq if mode == "m" else x_seq[0]
    states = [torch.zeros(3, N, 5), torch.zeros(3, N, 2)]

    def run(weights: dict[str, Tensor], states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        def call(x: Tensor) -> Tensor:
            return torch.func.functional_call(net, weights, (x,))

        return base.to_functional_forward(net, call)((x,), states)

    spikes, states = torch.vmap(run)(weights, states)
    for i, member in enumerate(members):
        torch.testing.assert_close(spikes[i], member(x))
        torch.testing.assert_close(states[0][i], member[1].v)
        functional.reset_net(member)
    assert not torch.equal(states[0][0], states[0][2])


def test_gradients_of_a_functional_call_reach_the_weights(x_seq):
    net = two_layers("m")
    run = base.to_functional_forward(net)

    def loss(weights: dict[str, Tensor]) -> Tensor:
        call = base.to_functional_forward(
            net, lambda x: torch.func.functional_call(net, weights, (x,))
        )
        return call((x_seq,), base.extract_memories(net))[0].mean()

    weights = dict(net.named_parameters())
    gradients = torch.func.grad(loss)({name: w.detach() for name, w in weights.items()})
    run((x_seq,), base.extract_memories(net))[0].mean().backward()
    for name, w in weights.items():
        torch.testing.assert_close(gradients[name], w.grad)


class ForbidHostAccess(TorchDispatchMode):
    """Refuses what a CUDA graph cannot hold: reads by the host, and writes into given buffers."""

    # reads of a value, and sizes that depend on values
    forbidden = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero")

    def __init__(self, buffers: list[Tensor]) -> None:
        super().__init__()
        self.buffers = [buffer.data_ptr() for buffer in buffers]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        assert name not in self.forbidden, f"{name} needs the host"
        if func._schema.is_mutable:
            assert args[0].data_ptr() not in self.buffers, f"{name} writes into a static buffer"
        result = func(*args, **(kwargs or {}))
        if name in ("_to_copy", "copy_"):
            assert result.device == args[-1].device, f"{name} moves data between devices"
        return result


@pytest.mark.parametrize("mode", ["s", "m"])
def test_the_functional_form_is_safe_for_cuda_graphs(mode, x_seq):
    net = two_layers(mode).requires_grad_(False)
    x = x_seq if mode == "m" else x_seq[0]
    run = base.to_functional_forward(net)
    states = [torch.zeros(N, 5), torch.zeros(N, 2)]
    with ForbidHostAccess([x, *states]):
        spikes, new_states = run((x,), states)
    pointers = {tensor.data_ptr() for tensor in (x, *states)}
    assert all(isinstance(v, Tensor) and v.data_ptr() not in pointers for v in new_states)
    assert all(not v.any() for v in states)
    assert torch.equal(spikes, net(x))
    for v, expected in zip(new_states, base.memories(net), strict=True):
        assert torch.equal(v, expected)


@pytest.mark.gpu
def test_a_cuda_graph_replays_steps_with_state(x_seq):
    net = two_layers("s").cuda().requires_grad_(False)
    run = base.to_functional_forward(net)
    x = torch.zeros(N, 3, device="cuda")
    states = [torch.zeros(N, 5, device="cuda"), torch.zeros(N, 2, device="cuda")]

    def step() -> Tensor:
        spikes, new_states = run((x,), states)
        for buffer, new in zip(states, new_states, strict=True):
            buffer.copy_(new)
        return spikes

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        spikes = step()
    for buffer in states:
        buffer.zero_()
    for x_t in x_seq.cuda():
        x.copy_(x_t)
        graph.replay()
        assert torch.equal(spikes, net(x_t))


class WithStates(nn.Module):
    """A net whose states are inputs and outputs, as exported programs need it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        return base.to_functional_forward(self.net)((x,), states)


def test_export_of_whole_sequences_starts_at_rest(x_seq):
    net = two_layers("m").eval()
    expected = net(x_seq)  # leaves a live state behind
    live = base.extract_memories(net)
    program = torch.export.export(net, (x_seq,)).module()
    assert torch.equal(program(x_seq), expected)
    assert torch.equal(program(x_seq), expected)
    assert all(v is before for v, before in zip(base.memories(net), live, strict=True))


def test_export_of_single_steps_needs_the_functional_form(x_seq):
    net = two_layers("s").eval()
    with pytest.raises(RuntimeError, match=r"LIFNode: torch.export would freeze.*to_functional"):
        torch.export.export(net, (x_seq[0],))
    states = [torch.zeros(N, 5), torch.zeros(N, 2)]
    program = torch.export.export(WithStates(net), (x_seq[0], states)).module()
    for x in x_seq:
        spikes, states = program(x, states)
        assert torch.equal(spikes, net(x))
    for v, expected in zip(states, base.memories(net), strict=True):
        assert torch.equal(v, expected)
