"""Every neuron in a model of the zoo: by its name, forwards and backwards."""

import pytest
import torch
from torch import nn

from sj_models import create_model
from sj_neurons import neuron
from sj_neurons.neuron import FewSpikeTable

TABLE = FewSpikeTable(theta=[1.0, 0.5, 0.25], h=[0.0, 0.5, 0.25], d=[1.0, 0.5, 0.25])

# arguments that the default neuron has no need of
ARGUMENTS = {
    "DSRIFNode": {"T": 3},
    "DSRLIFNode": {"T": 3},
    "FewSpikeNode": {"table": TABLE},
    "GatedLIFNode": {"T": 3},
    "HGNode": {"tables": [TABLE, TABLE], "gate_thresholds": [0.5]},
    "LIAFNode": {"act": nn.Tanh(), "threshold_related": True},
    "MaskedPSN": {"T": 3, "k": 2},
    "OutlierAwareThresholdNode": {"table": TABLE, "outlier_table": TABLE, "split_threshold": 1.0},
    "PSN": {"T": 3},
    "STBIFNeuron": {"q_threshold": 1.0, "level": 8},
    "SlidingPSN": {"k": 2},
}
ABSTRACT = {"AdaptBaseNode", "BaseNode", "NonSpikingBaseNode"}
SINGLE_STEP = {"SLTTLIFNode"}
# neurons with an argument that differs from layer to layer
OF_ONE_LAYER = {
    "ILCBaseNode": "act_dim",
    "ILCCUBALIFNode": "act_dim",
    "ILCIFNode": "act_dim",
    "ILCLIFNode": "act_dim",
    "MPBNLIFNode": "out_channels",
    "NoisyBaseNode": "num_node",
    "NoisyCUBALIFNode": "num_node",
    "NoisyILCBaseNode": "act_dim",
    "NoisyILCCUBALIFNode": "act_dim",
    "NoisyNonSpikingBaseNode": "num_node",
    "NoisyNonSpikingIFNode": "num_node",
}
# neurons whose outputs plain layers do not take: a potential to be read, spikes with their trace
READ_OUT_ONLY = {"NonSpikingIFNode", "NonSpikingLIFNode", "OTTTLIFNode"}


def neuron_classes() -> set[str]:
    return {
        name
        for name in neuron.__all__
        if name != "from_step" and issubclass(getattr(neuron, name), nn.Module)
    }


PLACED = neuron_classes() - ABSTRACT - set(OF_ONE_LAYER) - READ_OUT_ONLY


@pytest.mark.parametrize("name", sorted(PLACED - SINGLE_STEP))
def test_runs_sequences_forwards_and_backwards(name):
    config = {"type": name, **ARGUMENTS.get(name, {})}
    small = {"base_channels": 4, "layers": (1, 1), "small_images": True, "num_classes": 3}
    net = create_model("ms_resnet18", neuron=config, **small)
    y = net(torch.rand(3, 2, 3, 8, 8))
    assert y.shape == (3, 2, 3)
    y.sum().backward()
    assert net.head.weight.grad.isfinite().all()


@pytest.mark.parametrize("name", sorted(SINGLE_STEP))
def test_runs_step_by_step(name):
    net = create_model("MNISTNet", neuron=name, channels=2, step_mode="s")
    for step in torch.rand(3, 2, 1, 28, 28):
        y = net(step)
        y.sum().backward()
    assert y.shape == (2, 10)
    assert net.conv_fc[0].weight.grad.isfinite().all()


@pytest.mark.parametrize("name", sorted(OF_ONE_LAYER))
def test_a_neuron_made_for_one_layer_says_what_it_needs(name):
    with pytest.raises((TypeError, ValueError), match=f"{name}.* {OF_ONE_LAYER[name]}"):
        create_model("ms_resnet18", neuron=name)
