"""Neurons from classes, names and configs."""

import inspect

import pytest
import torch
from torch import nn

from sj_models.neurons import (
    NeuronFactory,
    is_neuron,
    neuron_class,
    neuron_factory,
    surrogate_function,
)
from sj_neurons import neuron, surrogate


@pytest.mark.parametrize(
    ("spec", "cls"),
    [
        (neuron.LIFNode, neuron.LIFNode),
        ("IF", neuron.IFNode),
        ("lifnode", neuron.LIFNode),
        ("PLIF", neuron.ParametricLIFNode),
        ({"type": "LIF"}, neuron.LIFNode),
        ({"type": neuron.IFNode}, neuron.IFNode),
        ("KLIF", neuron.KLIFNode),
    ],
)
def test_a_class_a_name_or_a_config(spec, cls):
    assert type(neuron_factory(spec)()) is cls


def test_none_means_no_neurons():
    assert neuron_factory(None) is None


@pytest.mark.parametrize("name", [n for n in neuron.__all__ if n != "from_step"])
def test_every_class_is_known_by_its_name(name):
    if not issubclass(getattr(neuron, name), nn.Module):
        pytest.skip("not a module")
    assert neuron_class(name) is getattr(neuron, name)


def test_a_config_with_a_surrogate():
    config = {"type": "LIF", "tau": 4.0, "surrogate": {"type": "ATan", "alpha": 3.0}}
    make = neuron_factory(config)
    first, second = make(), make()
    assert first.tau == 4.0
    assert isinstance(first.surrogate_function, surrogate.ATan)
    assert first.surrogate_function.alpha == 3.0
    assert first.surrogate_function is not second.surrogate_function
    assert config == {"type": "LIF", "tau": 4.0, "surrogate": {"type": "ATan", "alpha": 3.0}}


@pytest.mark.parametrize("spec", ["atan", surrogate.ATan, surrogate.ATan(), {"type": "ATan"}])
def test_surrogates(spec):
    assert isinstance(surrogate_function(spec), surrogate.ATan)


def test_defaults_and_replacements_reach_only_neurons_that_take_them():
    lif = NeuronFactory("net", "LIF", {"tau": 3.0})
    assert lif.with_defaults(tau=5.0, detach_reset=True)().extra_repr().count("True") == 1
    assert lif.with_defaults(tau=5.0)().tau == 3.0
    assert lif.with_arguments(v_threshold=0.5)().v_threshold == 0.5
    assert lif().v_threshold == 1.0
    assert isinstance(NeuronFactory("net", "IF").with_defaults(tau=5.0, k=2)(), neuron.IFNode)
    assert "tau=3.0" in repr(lif)


def test_neurons_made_by_a_user():
    class Bare(nn.Module):
        def forward(self, x):
            return x

    assert isinstance(neuron_factory(Bare)(), Bare)
    assert not is_neuron(Bare())
    assert is_neuron(neuron.PSN(4))
    doubled = neuron.from_step(
        lambda x, v, gain: (x, gain * v), states={"v": 0.0}, params={"gain": 2.0}, name="Doubled"
    )
    node = neuron_factory(doubled, gain=torch.tensor(3.0))()
    assert node.gain == 3.0
    assert is_neuron(node)


@pytest.mark.parametrize(
    ("spec", "arguments", "error", "message"),
    [
        ("LIFF", {}, ValueError, r"net: there is no neuron 'LIFF'; did you mean .*'LIF"),
        ("LIF", {"taau": 2.0}, TypeError, r"net: LIFNode takes no argument 'taau'; .*'tau'"),
        (3, {}, TypeError, "spiking_neuron must be a neuron class"),
        (neuron.IFNode(), {}, TypeError, r"must be a neuron class .*got IFNode\("),
        ({"tau": 2.0}, {}, TypeError, "config with the key 'type'"),
        ("IF", {"surrogate": "Atann"}, ValueError, "no surrogate 'Atann'; did you mean 'ATan'"),
        ("IF", {"surrogate": {"type": "ATan", "beta": 1}}, TypeError, "net: .*beta"),
        ("IF", {"surrogate": {"alpha": 1}}, TypeError, "has no key 'type'"),
        ("IF", {"surrogate": "ATan", "surrogate_function": None}, TypeError, "not both"),
    ],
)
def test_errors_name_the_owner_and_the_closest_names(spec, arguments, error, message):
    with pytest.raises(error, match=message):
        neuron_factory(spec, owner="net", **arguments)


def test_missing_arguments_are_named_and_may_come_later():
    factory = neuron_factory("GatedLIF", owner="net")
    with pytest.raises(TypeError, match="net: GatedLIFNode needs T"):
        factory()
    assert factory.with_arguments(T=3)().T == 3


def test_a_factory_tells_what_it_takes_and_what_it_was_given():
    parameters = inspect.signature(neuron_factory("LIF", tau=3.0)).parameters
    assert parameters["tau"].default == 3.0
    assert parameters["v_threshold"].default == 1.0


@pytest.mark.parametrize(
    "config",
    [
        {"type": "LIFNode", "tau": 4.0, "surrogate_function": {"type": "ATan", "alpha": 3.0}},
        {"type": "IFNode", "v_reset": None},
        {"type": "IFNode", "surrogate_function": {"type": "Rect", "alpha": 2.0, "spiking": False}},
    ],
)
def test_a_factory_has_a_config_that_makes_its_like(config):
    again = neuron_factory(config).config()
    assert neuron_factory(again).config() == again
    made, twin = neuron_factory(config)(), neuron_factory(again)()
    assert repr(made) == repr(twin)
    assert made.surrogate_function is not twin.surrogate_function


def test_an_error_of_the_constructor_names_the_owner():
    with pytest.raises(TypeError, match=r"net: .*v_threshold"):
        neuron_factory("IF", owner="net", v_threshold="high")()
