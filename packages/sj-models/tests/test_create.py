"""Models by name."""

import copy

import pytest
import torch

from sj_models import create_model, describe_model, list_models
from sj_models.registry import MODELS
from sj_neurons import neuron, surrogate


def test_lists_by_pattern_and_ignores_case():
    names = list_models("*RESNET18*")
    assert {"spiking_resnet18", "sew_resnet18", "ms_resnet18"} <= set(names)
    assert names == sorted(names)
    assert set(names) < set(list_models())
    assert list_models("nothing*") == []


def test_describes_by_any_case():
    record = describe_model("Sew_ResNet18")
    assert (record.name, record.family) == ("sew_resnet18", "sew_resnet")
    assert record.builder().__name__ == "sew_resnet18"
    assert "CIFAR" in describe_model("max_resnet18").accuracy


@pytest.mark.parametrize(
    "spec", [neuron.LIFNode, "LIF", {"type": "LIF", "tau": 4.0, "surrogate": {"type": "ATan"}}]
)
def test_neurons_by_class_name_and_config(spec):
    net = create_model("PlainNet", neuron=spec)
    nodes = [m for m in net.modules() if isinstance(m, neuron.BaseNode)]
    assert [type(node) for node in nodes] == [neuron.LIFNode] * 2
    if isinstance(spec, dict):
        assert {node.tau for node in nodes} == {4.0}


def test_arguments_of_the_neuron_may_stand_beside_those_of_the_model():
    net = create_model("PlainNet", neuron="LIF", tau=3.0, hidden=5)
    assert net.fc[1].tau == 3.0
    assert net.fc[0].out_features == 5


def test_arguments_of_a_neuron_that_the_model_fixes():
    small = {"embed_dims": (2, 2, 2, 2), "num_heads": 1, "depths": (1, 1), "num_classes": 2}
    net = create_model("e_spikeformer_5m", v_threshold=0.5, **small)
    assert net.head_lif.node.v_threshold == 0.5
    assert repr(MODELS.build(net.config)) == repr(net)


def test_step_mode_and_backend():
    net = create_model("MNISTNet", neuron="IF", channels=2, step_mode="m", backend="cpp")
    assert {m.step_mode for m in net.modules() if hasattr(m, "step_mode")} == {"m"}
    assert net.conv_fc[2].backend == "cpp"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("PlainNet", {"neuron": "LIF", "tau": 3.0, "surrogate_function": surrogate.ATan(3.0)}),
        ("PlainNet", {"v_threshold": 0.5}),
        ("PlainNet", {"spiking_neuron": neuron.IFNode, "hidden": 4}),
        ("MNISTNet", {"neuron": {"type": "PLIF"}, "channels": 2, "step_mode": "m"}),
    ],
)
def test_the_config_builds_the_model_again(name, arguments):
    net = create_model(name, **arguments)
    config = copy.deepcopy(net.config)
    twin = MODELS.build(config)
    assert config == net.config == twin.config
    assert repr(twin) == repr(net)
    twin.load_state_dict(net.state_dict())


def test_weights_are_given_by_name_of_model_too():
    net = create_model("PlainNet")
    twin = create_model("plainnet", weights=net.state_dict())
    assert torch.equal(twin.fc[0].weight, net.fc[0].weight)


def test_another_number_of_classes_keeps_the_other_weights():
    net = create_model("PlainNet")
    twin = create_model("PlainNet", weights=net.state_dict(), num_classes=3)
    assert torch.equal(twin.fc[0].weight, net.fc[0].weight)
    assert twin.weights_report.replaced == ("fc.2.weight", "fc.2.bias")


@pytest.mark.parametrize(
    ("name", "arguments", "error", "message"),
    [
        (None, {}, ValueError, "there is no model 'None'"),
        ("PlainNet", {"neuron": "IF", "spiking_neuron": "IF"}, TypeError, "PlainNet: .*not both"),
        ("spiking_resnet81", {}, ValueError, "did you mean 'spiking_resnet18'"),
        ("PlainNet", {"hiden": 3}, TypeError, "PlainNet: unknown argument 'hiden'.*'hidden'"),
        ("PlainNet", {"neuron": "LIF", "taau": 3.0}, TypeError, "unknown argument 'taau'.*'tau'"),
        ("PlainNet", {"neuron": "LIFF"}, ValueError, "PlainNet: there is no neuron 'LIFF'"),
        ("MNISTNet", {"channels": 2}, TypeError, "spiking_neuron must be a neuron class"),
        ("PlainNet", {"hidden": 0}, ValueError, "hidden must be a whole number"),
    ],
)
def test_mistakes_are_named_at_construction(name, arguments, error, message):
    with pytest.raises(error, match=message):
        create_model(name, **arguments)


def test_a_model_with_neurons_of_its_own_has_no_choice():
    with torch.device("meta"), pytest.raises(TypeError, match="no neuron to choose"):
        create_model("e_spikeformer_5m", neuron="IF")


def test_weights_go_to_builders_that_take_them():
    with torch.device("meta"):
        ann = create_model("spiking_resnet18", neuron="IF").state_dict()
        net = create_model("sew_resnet18", neuron="PLIF", num_classes=10, weights=ann)
    assert net.weights_report.replaced == ("fc.weight", "fc.bias")
    assert len(net.weights_report.neurons) == 20
    assert "weights" not in net.config
