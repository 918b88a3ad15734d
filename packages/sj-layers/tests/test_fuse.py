"""A fused net is the same net, only faster."""

import copy

import pytest
import torch
from torch import Tensor, nn

import sj_layers as layer
from sj_layers.fuse import fuse
from sj_neurons import functional, neuron

T = 4


class Block(nn.Module):
    """Two convolutions, one of whose outputs is read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = layer.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn1 = layer.BatchNorm2d(8)
        self.sn1 = neuron.IFNode()
        self.conv2 = layer.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn2 = layer.BatchNorm2d(8)
        self.sn2 = neuron.LIFNode(v_reset=None)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.sn1(self.bn1(self.conv1(x)))))
        return self.sn2(y) + x


def build() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        layer.Conv2d(3, 8, 3, padding=1, bias=False),
        layer.BatchNorm2d(8),
        neuron.ParametricLIFNode(detach_reset=True),
        Block(),
        layer.MaxPool2d(2),
        layer.Flatten(),
        layer.Linear(8 * 16, 6),
        layer.BatchNorm1d(6),
        neuron.IFNode(),
    )
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.uniform_(module.bias, 0.0, 0.5)
    functional.set_step_mode(net, "m")
    return net


@pytest.fixture
def x_seq() -> Tensor:
    return torch.rand(T, 2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_training_keeps_outputs_gradients_statistics_and_keys(x_seq):
    net = build()
    fused = fuse(net, training=True)
    assert list(fused.state_dict()) == list(net.state_dict())
    outputs = []
    for model in (net, fused):
        for _ in range(2):
            functional.reset_net(model)
            y = model(x_seq)
            model.zero_grad()
            (y * torch.arange(6)).sum().backward()
        outputs.append(y)
    assert torch.equal(*outputs)
    assert outputs[0].unique().numel() > 1
    for ours, theirs in zip(fused.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)
    for key, value in net.state_dict().items():
        torch.testing.assert_close(fused.state_dict()[key], value, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(fused[2].v, net[2].v, rtol=1e-5, atol=1e-5)
    net.eval(), fused.eval()
    functional.reset_net(net), functional.reset_net(fused)
    assert torch.equal(fused(x_seq), net(x_seq))


def test_every_pair_is_joined_and_single_steps_still_work(x_seq):
    net = build()
    fused = fuse(net, training=True)
    assert all("norm" in vars(node) for node in (fused[2], fused[3].sn1, fused[3].sn2, fused[8]))
    net.eval(), fused.eval()
    functional.set_step_mode(net, "s"), functional.set_step_mode(fused, "s")
    for x in x_seq:
        assert torch.equal(fused(x), net(x))


def test_copies_of_a_fused_net_are_nets_of_their_own(x_seq):
    fused = fuse(build(), training=True)
    twin = copy.deepcopy(fused)
    assert twin[2].norm[0] is twin[1] and twin[1].neuron[0] is twin[2]
    before = fused[1].running_mean.clone()
    twin(x_seq)
    assert torch.equal(fused[1].running_mean, before)
    assert isinstance(fused[2].v, float)


def test_inference_folds_and_chooses_the_fast_backend(x_seq):
    net = build()
    net(x_seq)
    functional.reset_net(net)
    fused = fuse(net)
    assert net.training and not fused.training
    assert isinstance(fused[1], nn.Identity) and isinstance(fused[3].bn1, nn.Identity)
    assert fused[2].backend == "auto" and net[2].backend == "torch"
    net.eval()
    with torch.no_grad():
        ours, theirs = fused(x_seq), net(x_seq)
    assert (ours != theirs).float().mean() < 1e-3
    assert theirs.unique().numel() > 1


@pytest.mark.parametrize("training", [False, True])
def test_what_is_more_than_its_torch_class_is_left_alone(training, x_seq):
    torch.manual_seed(0)
    net = nn.Sequential(
        layer.WSConv2d(3, 8, 3, padding=1),
        layer.BatchNorm2d(8),
        neuron.IFNode(),
        layer.Conv2d(8, 8, 3, padding=1),
        layer.TemporalEffectiveBatchNorm2d(T, 8),
        neuron.IFNode(),
    )
    nn.init.uniform_(net[4].scale, 0.5, 3.0)
    functional.set_step_mode(net, "m")
    net.train(training)
    fused = fuse(net, training=training)
    with torch.no_grad():
        assert torch.equal(fused(x_seq), net(x_seq))


def test_the_net_itself_is_left_alone(x_seq):
    net = build()
    before = copy.deepcopy(net.state_dict())
    fuse(net), fuse(net, training=True)
    assert type(net[1]) is layer.BatchNorm2d and type(net[2]) is neuron.ParametricLIFNode
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_a_net_that_fx_cannot_follow_is_refused():
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match=r"torch\.fx cannot follow forward of Branching"):
        fuse(Branching(), training=True)
