"""What the seeds print and run about models, with other imports."""

import re

import pytest
import torch

from sj_models import parametric_lif_net, spiking_resnet
from sj_neurons import functional, neuron, surrogate


@pytest.fixture
def printed(shared):
    """The output that the seed on large networks shows for its first block."""
    (seed,) = (shared / "seeds").glob("001_*.txt")
    found = re.search(
        r"^  s_resnet18=(SpikingResNet\(.*?^  \))\n  y_seq", seed.read_text("utf-8"), re.M | re.S
    )
    assert found is not None
    return found[1].replace("\n  ", "\n")


def test_the_resnet_prints_and_runs_as_in_the_seed(printed):
    s_resnet18 = spiking_resnet.spiking_resnet18(
        pretrained=False,
        spiking_neuron=neuron.IFNode,
        surrogate_function=surrogate.ATan(),
        detach_reset=True,
    )
    assert str(s_resnet18) == printed
    with torch.no_grad():
        x_seq = torch.rand([4, 1, 3, 64, 64])
        functional.set_step_mode(s_resnet18, "m")
        y_seq = s_resnet18(x_seq)
        assert y_seq.shape == (4, 1, 1000)
        functional.reset_net(s_resnet18)


def test_the_gesture_net_of_the_notes_learns():
    net = parametric_lif_net.DVSGestureNet(
        channels=8,
        spiking_neuron=neuron.LIFNode,
        surrogate_function=surrogate.ATan(),
        detach_reset=True,
    )
    functional.set_step_mode(net, "m")
    frame = torch.randint(0, 3, (4, 2, 2, 128, 128)).float()  # [T, N, C, H, W]
    label_onehot = torch.nn.functional.one_hot(torch.tensor([1, 7]), 11).float()
    out_fr = net(frame).mean(0)
    assert out_fr.shape == (2, 11)
    torch.nn.functional.mse_loss(out_fr, label_onehot).backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    functional.reset_net(net)
