"""Functions on whole networks and on sequences."""

import doctest
import importlib
import logging
import pkgutil
import subprocess
import sys

import pytest
import torch
from torch import nn

from sj_neurons import base, functional, neuron


def small_net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), neuron.IFNode(), nn.Linear(4, 2), neuron.LIFNode())


class Owner(nn.Module, base.StepModule):
    owns_children_step_mode = True

    def __init__(self) -> None:
        super().__init__()
        self.child = neuron.IFNode()


def test_reset_net_reaches_modules_added_later():
    net = small_net()
    functional.reset_net(net)
    net.append(neuron.IFNode())
    net(torch.rand(5, 3))
    functional.reset_net(net)
    assert base.extract_memories(net) == [0.0, 0.0, 0.0]


def test_reset_net_resets_foreign_modules_and_says_so(caplog):
    class Foreign(nn.Module):
        def reset(self):
            self.was_reset = True

    net = nn.Sequential(Foreign())
    with caplog.at_level(logging.WARNING):
        functional.reset_net(net)
    assert net[0].was_reset
    assert "Foreign" in caplog.text


def test_detach_net_keeps_values_without_graph():
    net = small_net()
    net(torch.rand(5, 3))
    values = [v.detach().clone() for v in base.memories(net)]
    functional.detach_net(net)
    for value, v in zip(values, base.memories(net), strict=True):
        assert torch.equal(value, v)
        assert not v.requires_grad


def test_set_step_mode_stops_at_modules_that_own_their_children():
    net = nn.Sequential(neuron.IFNode(), Owner())
    functional.set_step_mode(net, "m")
    assert net[0].step_mode == net[1].step_mode == "m"
    assert net[1].child.step_mode == "s"


def test_set_step_mode_follows_foreign_modules_with_a_warning(caplog):
    class Foreign(nn.Module):
        step_mode = "s"

    net = nn.Sequential(Foreign())
    with caplog.at_level(logging.WARNING):
        functional.set_step_mode(net, "m")
    assert net[0].step_mode == "m"
    assert "Foreign" in caplog.text


def test_unknown_step_mode_is_refused():
    with pytest.raises(ValueError, match="step_mode can only be"):
        functional.set_step_mode(small_net(), "x")


def test_set_backend_warns_once_and_names_the_classes_that_kept_theirs():
    net = nn.Sequential(neuron.LIFNode(), neuron.PSN(T=4), neuron.PSN(T=2), neuron.OTTTLIFNode())
    with pytest.warns(UserWarning, match=r"(?s)OTTTLIFNode: .*PSN: .*No scalar rec") as caught:
        functional.set_backend(net, "cpp")
    assert len(caught) == 1
    assert [module.backend for module in net] == ["cpp", "torch", "torch", "torch"]
    with pytest.raises(NotImplementedError, match=r"(?s)'cpp' was not set everywhere.*PSN"):
        functional.set_backend(net, "cpp", neuron.PSN, strict=True)
    functional.set_backend(net, "auto", strict=True)
    assert [module.backend for module in net] == ["auto", "torch", "torch", "torch"]
    functional.set_backend(net, "torch", strict=True)
    with pytest.raises(ValueError, match="unknown backend 'cupyy'"):
        functional.set_backend(net, "cupyy")


def test_a_sequence_starts_and_ends_at_rest():
    net = small_net()
    net(torch.rand(2, 3))
    with functional.sequence(net) as same:
        assert same is net
        assert base.extract_memories(net) == [0.0, 0.0]
        y = net(torch.rand(5, 3))
    assert base.extract_memories(net) == [0.0, 0.0]
    y.sum().backward()
    assert net[0].weight.grad is not None


def test_a_sequence_ends_at_rest_after_an_error_too():
    net = small_net()
    with pytest.raises(ZeroDivisionError), functional.sequence(net):
        net(torch.rand(5, 3))
        _ = 1 / 0
    assert base.extract_memories(net) == [0.0, 0.0]


def test_collected_modules_are_those_of_the_moment():
    net = small_net()
    collected = functional.collect_reset_modules(net)
    assert collected == (net[1], net[3])
    net.append(neuron.IFNode())
    net(torch.rand(5, 3))
    functional.reset_collected_modules(collected)
    assert net[1].v == net[3].v == 0.0
    assert isinstance(net[4].v, torch.Tensor)
    functional.invalidate_reset_cache(net)
    assert isinstance(net[4].v, torch.Tensor)
    functional.reset_net(net)
    assert net[4].v == 0.0


@pytest.mark.parametrize(
    "name", [m.name for m in pkgutil.iter_modules(functional.__path__, functional.__name__ + ".")]
)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_import_brings_no_optional_library():
    code = (
        "import sys, sj_neurons; "
        "unwanted = ('cupy', 'h5py', 'matplotlib', 'tensorboard', 'torch._dynamo'); "
        "print([m for m in unwanted if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
