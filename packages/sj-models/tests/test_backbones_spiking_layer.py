"""The spiking encoder layer adds currents and multiplies spikes."""

import torch

from sj_models.backbones.spiking_layer import SpikingEncoderLayer
from sj_models.transformer_parts import Neurons
from sj_neurons import functional, neuron


def layer(**options):
    torch.manual_seed(0)
    neurons = Neurons("test", neuron.LIFNode, {})
    net = SpikingEncoderLayer(16, 2, 36, neurons, **options)
    functional.set_step_mode(net, "m")
    return net


def test_every_linear_layer_sees_spikes():
    net = layer().eval()
    inputs = []
    for name, module in net.named_modules():
        if isinstance(module, torch.nn.Conv1d):
            module.register_forward_pre_hook(lambda m, x, name=name: inputs.append((name, x[0])))
    y = net(4 * torch.rand(3, 2, 5, 16))
    assert y.shape == (3, 2, 5, 16)
    assert len(inputs) == 4
    for name, x in inputs:
        assert set(x.unique().tolist()) <= {0.0, 1.0}, name


def test_hidden_width_is_exact_and_tokens_have_no_order():
    net = layer().eval()
    assert net.mlp.fc1.out_channels == 36
    x = 4 * torch.rand(3, 2, 5, 16)
    order = torch.tensor([3, 0, 4, 1, 2])
    y = net(x)
    functional.reset_net(net)
    torch.testing.assert_close(net(x[:, :, order]), y[:, :, order])


def test_stochastic_depth_leaves_the_currents():
    net = layer(drop_path_rate=0.999).train()
    x = torch.rand(2, 1, 4, 16)
    assert torch.equal(net(x), x)
