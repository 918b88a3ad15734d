"""The learner's training loops on Fashion-MNIST and DVS Gesture, on synthetic copies of the data.

The networks are those of test_notes_layers; loops and loaders are the notes', imports and paths
aside.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from sj_datasets import FashionMNIST, SequentialView
from sj_datasets.dvs128_gesture import DVS128Gesture
from sj_neurons import functional, neuron, surrogate

pytestmark = pytest.mark.filterwarnings("ignore::sj_datasets.SyntheticDataWarning")

NETWORKS = runpy.run_path(str(Path(__file__).with_name("test_notes_layers.py")))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("FashionMNIST"))
    FashionMNIST(folder, train=True, download=True, fake=True)
    return folder


def train(net, loader, optimizer, to_input=lambda img: img) -> None:
    net.train()
    for img, label in loader:
        optimizer.zero_grad()
        label_onehot = F.one_hot(label, 10).float()
        out_fr = net(to_input(img))
        loss = F.mse_loss(out_fr, label_onehot)
        loss.backward()
        optimizer.step()
        functional.reset_net(net)


def accuracy(net, loader, to_input=lambda img: img) -> float:
    net.eval()
    test_acc = test_samples = 0
    with torch.no_grad():
        for img, label in loader:
            out_fr = net(to_input(img))
            test_samples += label.numel()
            test_acc += (out_fr.argmax(1) == label).float().sum().item()
            functional.reset_net(net)
    return test_acc / test_samples


def test_csnn_learns_fashion_mnist_and_encodes_it_to_spikes(data_dir):
    torch.manual_seed(0)
    train_set = FashionMNIST(root=data_dir, train=True, transform=None, download=True)
    test_set = FashionMNIST(root=data_dir, train=False, transform=None, download=True)
    train_data_loader = DataLoader(train_set, batch_size=32, shuffle=True, drop_last=True)
    test_data_loader = DataLoader(test_set, batch_size=100)
    img, label = next(iter(test_data_loader))
    assert img.shape == (100, 1, 28, 28)
    assert img.dtype == torch.float32
    assert label.dtype == torch.int64

    net = NETWORKS["CSNN"](T=4, channels=4)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    train(net, train_data_loader, optimizer)
    assert accuracy(net, test_data_loader) > 0.2  # of ten classes, after one epoch

    encoder = net.spiking_encoder()
    with torch.no_grad():
        img_seq = img.unsqueeze(0).repeat(net.T, 1, 1, 1, 1)
        spike_seq = encoder(img_seq)
        functional.reset_net(encoder)
    assert spike_seq.shape == (4, 100, 4, 28, 28)
    assert spike_seq.unique().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("reader", ["PlainNet", "StatefulSynapseNet", "FeedBackNet"])
def test_sequential_fashion_mnist_column_by_column(data_dir, reader):
    torch.manual_seed(0)
    images = FashionMNIST(root=data_dir, train=True)
    loader = DataLoader(images, batch_size=250)
    columns = DataLoader(SequentialView(images, by="column"), batch_size=250)
    # what the notes' script turns its images into, [N, 1, H, W] -> [W, N, H]
    img, _ = next(iter(loader))
    x_seq, _ = next(iter(columns))
    assert torch.equal(x_seq.transpose(0, 1), img.squeeze(1).permute(2, 0, 1))

    net = NETWORKS[reader]()
    functional.set_step_mode(net, "m")
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    before = [p.clone() for p in net.parameters()]
    train(net, columns, optimizer, lambda x: x.transpose(0, 1))
    assert all(torch.isfinite(p).all() for p in net.parameters())
    assert any(not torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))
    assert 0 <= accuracy(net, columns, lambda x: x.transpose(0, 1)) <= 1


def test_gesture_net_trains_on_frames_by_number(tmp_path):
    root, T = tmp_path / "DVS128Gesture", 2
    train_set = DVS128Gesture(
        root=root, train=True, data_type="frame", frames_number=T, split_by="number", fake=True
    )
    test_set = DVS128Gesture(
        root=root, train=False, data_type="frame", frames_number=T, split_by="number"
    )
    net = NETWORKS["DVSGestureNet"](
        channels=4,
        spiking_neuron=neuron.LIFNode,
        surrogate_function=surrogate.ATan(),
        detach_reset=True,
    )
    functional.set_step_mode(net, "m")
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    for frame, label in DataLoader(train_set, batch_size=8, shuffle=True):
        optimizer.zero_grad()
        frame = frame.transpose(0, 1)  # [N, T, C, H, W] -> [T, N, C, H, W]
        label_onehot = F.one_hot(label, 11).float()
        out_fr = net(frame).mean(0)
        loss = F.mse_loss(out_fr, label_onehot)
        loss.backward()
        optimizer.step()
        functional.reset_net(net)
        break
    assert nn.utils.parameters_to_vector(net.parameters()).isfinite().all()
    with torch.no_grad():
        frame, label = next(iter(DataLoader(test_set, batch_size=8)))
        assert net(frame.transpose(0, 1)).mean(0).shape == (len(label), 11)
