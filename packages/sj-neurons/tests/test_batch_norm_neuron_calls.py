"""How BatchNorm and neuron in one are called, and what is refused; numbers: see the other file."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sj_neurons import functional, neuron, surrogate
from sj_neurons.functional import batch_norm_module_neuron, batch_norm_neuron
from sj_neurons.kernels import select


def made() -> tuple[Tensor, Any, Any]:
    """An input, a norm and a neuron that fits them."""
    x = torch.randn(3, 2, 4, 5, 5, generator=torch.Generator().manual_seed(0)) * 1.5 + 0.7
    norm = nn.BatchNorm2d(4)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.uniform_(norm.bias, 0.2, 0.8)
    return x, norm, neuron.ParametricLIFNode(2.0, step_mode="m", backend="cpp")


@pytest.mark.parametrize("training", [True, False])
def test_it_compiles_without_a_graph_break(training: bool) -> None:
    x, norm, node = made()
    net = nn.ModuleList([norm.train(training), node])
    other = copy.deepcopy(net)

    def run(x: Tensor, net: Any) -> Tensor:
        return batch_norm_module_neuron(x, *net)

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    x.requires_grad_()
    results = []
    for function, modules in ((run, net), (compiled, other)):
        spikes = function(x, modules)
        tensors = [x, *modules.parameters()]
        gradients = torch.autograd.grad(spikes.sum() + modules[1].v.sum(), tensors)
        results.append([spikes, modules[1].v, *gradients, *modules.buffers()])
    for eager, of_compiled in zip(*results, strict=True):
        torch.testing.assert_close(of_compiled, eager)


def test_a_node_with_a_hook_sees_the_normalised_input() -> None:
    x, norm, node = made()
    seen: list[Tensor] = []
    node.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    batch_norm_module_neuron(x, norm, node)
    y = copy.deepcopy(norm)(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    torch.testing.assert_close(seen[0], y)


def test_a_neuron_that_is_no_scalar_recurrence_runs_on_torch() -> None:
    x, norm, _ = made()
    node = neuron.PSN(3)
    spikes = batch_norm_module_neuron(x, copy.deepcopy(norm), node)
    assert torch.equal(spikes, node(norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])))


def test_without_a_compiler_torch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(select, "_failures", set())
    # a program that nobody has compiled
    node = neuron.LIFNode(surrogate_function=surrogate.ATan(), step_mode="m", backend="cpp")
    monkeypatch.setattr(type(node), "charge", lambda self, x, v: v * 0.8125 + x)
    x, norm, _ = made()
    with pytest.warns(UserWarning, match="cannot be compiled: no C"):
        spikes = batch_norm_module_neuron(x, copy.deepcopy(norm), node)
    node.reset()
    assert torch.equal(spikes, node(norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])))


def test_export_starts_from_rest() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(3)
            self.node = neuron.LIFNode(step_mode="m", backend="cpp")

        def forward(self, x: Tensor) -> Tensor:
            return batch_norm_module_neuron(x, self.norm, self.node)

    block, x = Block().eval(), 2 * torch.randn(3, 2, 3, 4, 4)
    exported = torch.export.export(block, (x,)).module()
    assert torch.equal(exported(x), exported(x))
    torch.testing.assert_close(exported(x), block(x))


def test_integers_are_taken_as_floats() -> None:
    x = torch.randint(0, 5, (3, 2, 4, 6))
    node = neuron.LIFNode(step_mode="m", backend="cpp")
    spikes = batch_norm_neuron(x, node, None, None)
    node.reset()
    assert torch.equal(spikes, batch_norm_neuron(x.float(), node, None, None))


def test_auto_runs_what_there_is() -> None:
    x, norm, node = made()
    functional.set_backend(node, "auto")
    spikes = batch_norm_module_neuron(x, norm, node)
    reference = copy.deepcopy(node)
    reference.reset()
    functional.set_backend(reference, "torch")
    y = norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    assert torch.equal(spikes, reference(y))


@pytest.mark.parametrize("backend", ["torch", "cpp"])
@pytest.mark.parametrize("shape", [(1, 1, 4), (1, 1, 4, 1, 1)])
def test_one_value_per_channel_is_refused(backend: str, shape: tuple[int, ...]) -> None:
    node = neuron.LIFNode(step_mode="m", backend=backend)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        batch_norm_neuron(torch.zeros(shape), node, None, None)


@pytest.mark.parametrize("backend", ["torch", "cpp"])
def test_what_does_not_fit_is_named(backend: str) -> None:
    x = torch.zeros(2, 3, 4, 5)
    node = neuron.LIFNode(step_mode="m", backend=backend)
    vector, wrong = torch.ones(4), torch.ones(5)
    with pytest.raises(ValueError, match=r"weight must have shape \(4,\).*got \(5,\)"):
        batch_norm_neuron(x, node, vector, vector, wrong)
    with pytest.raises(ValueError, match="go together"):
        batch_norm_neuron(x, node, vector, None)
    with pytest.raises(ValueError, match="training must be True"):
        batch_norm_neuron(x, node, None, None, training=False)
    with pytest.raises(ValueError, match=r"expected a sequence \[T, N, C, \*\].*\(2, 3\)"):
        batch_norm_neuron(x[..., 0, 0], node, None, None)
    with pytest.raises(ValueError, match="expected 4D input"):
        batch_norm_module_neuron(x, nn.BatchNorm2d(4), node)
    with pytest.raises(TypeError, match="SyncBatchNorm"):
        batch_norm_module_neuron(x, nn.SyncBatchNorm(4), node)
    node.step_mode = "s"
    with pytest.raises(ValueError, match="step mode 's'; set it to 'm'"):
        batch_norm_neuron(x, node, None, None)


def test_an_empty_batch_gives_empty_spikes_in_evaluation() -> None:
    node = neuron.LIFNode(step_mode="m", backend="cpp")
    zeros, ones = torch.zeros(4), torch.ones(4)
    spikes = batch_norm_neuron(torch.zeros(2, 0, 4, 5), node, zeros, ones, training=False)
    assert spikes.shape == (2, 0, 4, 5)
