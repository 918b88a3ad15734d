"""A learner's networks for another package run here after changing their import lines only."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable

import matplotlib
import pytest
import torch
import torch.nn.functional as F
from torch import nn

matplotlib.use("Agg")

import matplotlib.pyplot as plt

import sj_layers as layer
from sj_layers import visualizing
from sj_neurons import functional, neuron, surrogate

needs_no_cupy = pytest.mark.skipif(
    importlib.util.find_spec("cupy") is not None, reason="CuPy is installed"
)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def one_step_of_training(
    net: nn.Module, x: torch.Tensor, classes: int, rate: Callable = lambda y: y
) -> None:
    """What the scripts around the networks do, for two samples; all parameters get a gradient."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    optimizer.zero_grad()
    rates = rate(net(x))
    assert rates.shape == (2, classes)
    loss = F.mse_loss(rates, F.one_hot(torch.randint(classes, (2,)), classes).float())
    loss.backward()
    optimizer.step()
    functional.reset_net(net)
    assert torch.isfinite(loss)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


# a convolutional network on images that are repeated over time


class CSNN(nn.Module):
    def __init__(self, T: int, channels: int, use_cupy=False):
        super().__init__()
        self.T = T

        self.conv_fc = nn.Sequential(
            layer.Conv2d(1, channels, kernel_size=3, padding=1, bias=False),
            layer.BatchNorm2d(channels),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.MaxPool2d(2, 2),
            layer.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
            layer.BatchNorm2d(channels),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.MaxPool2d(2, 2),
            layer.Flatten(),
            layer.Linear(channels * 7 * 7, channels * 4 * 4, bias=False),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.Linear(channels * 4 * 4, 10, bias=False),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
        )
        functional.set_step_mode(self, step_mode="m")
        if use_cupy:
            functional.set_backend(self, backend="cupy")

    def forward(self, x: torch.Tensor):
        x_seq = x.unsqueeze(0).repeat(self.T, 1, 1, 1, 1)
        x_seq = self.conv_fc(x_seq)
        fr = x_seq.mean(0)
        return fr

    def spiking_encoder(self):
        return self.conv_fc[0:3]


def test_csnn_trains_and_loads_its_checkpoint(tmp_path):
    net = CSNN(T=4, channels=8)
    one_step_of_training(net, torch.rand(2, 1, 28, 28), classes=10)
    torch.save({"net": net.state_dict(), "epoch": 0}, tmp_path / "checkpoint_max.pth")
    checkpoint = torch.load(tmp_path / "checkpoint_max.pth", map_location="cpu", weights_only=True)
    other = CSNN(T=4, channels=8)
    other.load_state_dict(checkpoint["net"])
    images = torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(net.eval()(images), other.eval()(images))


@needs_no_cupy
def test_csnn_asked_for_cupy_names_what_to_install():
    with pytest.raises(ImportError, match=r"sj-neurons\[cuda"):
        CSNN(T=4, channels=8, use_cupy=True)


def test_pictures_of_the_encoder(tmp_path):
    net = CSNN(T=4, channels=16).eval()
    img = torch.rand(2, 1, 28, 28)
    encoder = net.spiking_encoder()
    with torch.no_grad():
        img_seq = img.unsqueeze(0).repeat(net.T, 1, 1, 1, 1)
        spike_seq = encoder(img_seq)
        functional.reset_net(encoder)
    assert spike_seq.shape == (4, 2, 16, 28, 28)
    assert set(spike_seq.unique().tolist()) <= {0.0, 1.0}
    for i in range(2):
        for t in range(net.T):
            visualizing.plot_2d_feature_map(
                spike_seq[t][i], 8, spike_seq.shape[2] // 8, 2, f"$S[{t}]$"
            )
            if i == t == 0:
                for suffix in ("png", "pdf", "svg"):
                    plt.savefig(tmp_path / f"s_{t}.{suffix}")
            plt.clf()
    plt.close("all")
    assert (tmp_path / "s_0.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "s_0.pdf").read_bytes().startswith(b"%PDF")
    assert b"<svg" in (tmp_path / "s_0.svg").read_bytes()


# a deeper network on frames of events


class DVSGestureNet(nn.Module):
    def __init__(self, channels=128, spiking_neuron: Callable | None = None, *args, **kwargs):
        super().__init__()

        conv = []
        for _ in range(5):
            in_channels = 2 if conv.__len__() == 0 else channels
            conv.append(layer.Conv2d(in_channels, channels, kernel_size=3, padding=1, bias=False))
            conv.append(layer.BatchNorm2d(channels))
            conv.append(spiking_neuron(*args, **kwargs))
            conv.append(layer.MaxPool2d(2, 2))

        self.conv_fc = nn.Sequential(
            *conv,
            layer.Flatten(),
            layer.Dropout(0.5),
            layer.Linear(channels * 4 * 4, 512),
            spiking_neuron(*args, **kwargs),
            layer.Dropout(0.5),
            layer.Linear(512, 110),
            spiking_neuron(*args, **kwargs),
            layer.VotingLayer(10),
        )

    def forward(self, x: torch.Tensor):
        return self.conv_fc(x)


@pytest.fixture
def gesture_net():
    net = DVSGestureNet(
        channels=4,
        spiking_neuron=neuron.LIFNode,
        surrogate_function=surrogate.ATan(),
        detach_reset=True,
    )
    functional.set_step_mode(net, "m")
    return net


def test_gesture_net_takes_frames_with_time_moved_to_the_front(gesture_net):
    frame = torch.rand(2, 3, 2, 128, 128)
    frame = frame.transpose(0, 1)  # [N, T, C, H, W] -> [T, N, C, H, W]
    assert gesture_net(frame).shape == (3, 2, 11)
    functional.reset_net(gesture_net)
    one_step_of_training(gesture_net, frame, classes=11, rate=lambda y: y.mean(0))


def test_gesture_net_shares_dropout_masks_over_time(gesture_net):
    dropout = gesture_net.conv_fc[21]
    masks = dropout(torch.ones(3, 2, 64))
    assert torch.equal(masks[0], masks[1])
    assert torch.equal(masks[0], masks[2])


@needs_no_cupy
def test_gesture_net_asked_for_cupy_names_what_to_install(gesture_net):
    with pytest.raises(ImportError, match=r"sj-neurons\[cuda"):
        functional.set_backend(gesture_net, "cupy", instance=neuron.LIFNode)


# feedback, and synapses with state


def element_wise_add(x, y):
    return x + y


SHOWN = """
ElementWiseRecurrentContainer(
element-wise function=<function element_wise_add at 0x00000158FC15ACA0>, step_mode=s
(sub_module): IFNode(
    v_threshold=1.0, v_reset=0.0, detach_reset=False, step_mode=s, backend=torch
    (surrogate_function): Sigmoid(alpha=4.0, spiking=True)
)
)
0 x[t]=tensor([1.5000]), s[t]=tensor([1.])
1 x[t]=tensor([0.]), s[t]=tensor([1.])
2 x[t]=tensor([0.]), s[t]=tensor([1.])
3 x[t]=tensor([0.]), s[t]=tensor([1.])
4 x[t]=tensor([0.]), s[t]=tensor([1.])
5 x[t]=tensor([0.]), s[t]=tensor([1.])
6 x[t]=tensor([0.]), s[t]=tensor([1.])
7 x[t]=tensor([0.]), s[t]=tensor([1.])
"""


def without_space_and_addresses(text: str) -> str:
    return re.sub(r"0x[0-9A-Fa-f]+", "0x", re.sub(r"\s+", "", text))


def test_one_input_keeps_a_neuron_with_feedback_firing(capsys):
    T = 8
    N = 1

    net = layer.ElementWiseRecurrentContainer(neuron.IFNode(), element_wise_add)
    print(net)
    x = torch.zeros([T, N])
    x[0] = 1.5
    for t in range(T):
        print(t, f"x[t]={x[t]}, s[t]={net(x[t])}")

    functional.reset_net(net)
    shown = capsys.readouterr().out
    assert without_space_and_addresses(shown) == without_space_and_addresses(SHOWN)


def test_stateful_convolution_keeps_its_current():
    stateful_conv = nn.Sequential(
        layer.Conv2d(3, 16, kernel_size=3, padding=1, stride=1),
        layer.SynapseFilter(tau=100.0),
    )
    x = torch.rand(2, 3, 8, 8)
    first = stateful_conv(x)
    assert torch.equal(first, stateful_conv[0](x))
    assert not torch.equal(stateful_conv(x), first)
    functional.reset_net(stateful_conv)
    assert torch.equal(stateful_conv(x), first)


# images read column by column


class PlainNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Sequential(
            layer.Linear(28, 32),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.Linear(32, 10),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
        )

    def forward(self, x: torch.Tensor):
        return self.fc(x).mean(0)


class StatefulSynapseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Sequential(
            layer.Linear(28, 32),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.SynapseFilter(tau=2.0, learnable=True),
            layer.Linear(32, 10),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
        )

    def forward(self, x: torch.Tensor):
        return self.fc(x).mean(0)


class FeedBackNet(nn.Module):
    def __init__(self):
        super().__init__()

        self.fc = nn.Sequential(
            layer.Linear(28, 32),
            layer.LinearRecurrentContainer(
                neuron.IFNode(surrogate_function=surrogate.ATan(), detach_reset=True),
                in_features=32,
                out_features=32,
                bias=True,
            ),
            layer.Linear(32, 10),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
        )

    def forward(self, x: torch.Tensor):
        return self.fc(x).mean(0)


READERS = [PlainNet, StatefulSynapseNet, FeedBackNet]


@pytest.mark.parametrize("reader", READERS)
def test_readers_train_in_float_and_mixed_precision(reader):
    net = reader()
    functional.set_step_mode(net, "m")
    columns = torch.rand(2, 1, 28, 28).squeeze(1).permute(2, 0, 1)  # [N, 1, H, W] -> [W, N, H]
    one_step_of_training(net, columns, classes=10)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        one_step_of_training(net, columns, classes=10)


@pytest.mark.parametrize("reader", READERS)
def test_readers_give_the_same_spikes_column_by_column(reader):
    net = reader()
    columns = 2 * torch.rand(28, 2, 28)
    with torch.no_grad():
        single = torch.stack([net.fc(column) for column in columns])
        functional.reset_net(net)
        functional.set_step_mode(net, "m")
        assert torch.equal(net(columns), single.mean(0))
    assert single.sum() > 0
