"""Folding BatchNorm for inference."""

import pytest
import torch
from torch import nn

from sj_neurons import functional, neuron


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.node = neuron.IFNode()
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)
        self.up_norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 5)
        self.head_norm = nn.BatchNorm1d(5)

    def forward(self, x):
        x = self.up_norm(self.up(self.node(self.norm(self.conv(x)))))
        return self.head_norm(self.head(x.mean((2, 3))))


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    net = Residual().double()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for value in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(value, 0.5, 1.5)
    return net.eval()


def test_folding_keeps_the_outputs_and_the_names(net):
    x = torch.rand(2, 3, 6, 6, dtype=torch.float64)
    fused = functional.fuse_conv_bn_eval_modules(net)
    torch.testing.assert_close(fused(x), net(x))
    kinds = {name: type(module).__name__ for name, module in fused.named_children()}
    assert kinds == {
        "conv": "Conv2d", "norm": "Identity", "node": "IFNode", "up": "ConvTranspose2d",
        "up_norm": "Identity", "head": "Linear", "head_norm": "Identity",
    }  # fmt: skip
    assert isinstance(net.get_submodule("norm"), nn.BatchNorm2d)


def test_a_norm_is_kept_where_it_is_not_alone(net):
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)
            self.norm = nn.BatchNorm2d(1)

        def forward(self, x):
            y = self.conv(x)
            return self.norm(y) + y

    shared = Shared().eval()
    x = torch.rand(1, 1, 2, 2)
    fused = functional.fuse_conv_bn_eval_modules(shared)
    assert isinstance(fused.get_submodule("norm"), nn.BatchNorm2d)
    assert torch.equal(fused(x), shared(x))


def test_training_and_missing_statistics_are_refused(net):
    with pytest.raises(ValueError, match=r"net.eval\(\)"):
        functional.fuse_conv_bn_eval_modules(net.train())
    stateless = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, track_running_stats=False))
    with pytest.raises(ValueError, match=r"1 \(BatchNorm2d\): it has no running statistics"):
        functional.fuse_conv_bn_eval_modules(stateless.eval())


def test_a_forward_that_cannot_be_followed_is_named():
    class Dynamic(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match="cannot follow forward of Dynamic"):
        functional.fuse_conv_bn_eval_modules(Dynamic().eval())


def test_one_pair_is_fused_in_float64_and_keeps_its_dtype(net):
    conv, norm = net.conv.float(), net.norm.float()
    fused = functional.fused_conv_bn(conv, norm)
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    weight = conv.weight.double() * scale[:, None, None, None]
    torch.testing.assert_close(fused.weight, weight.float(), rtol=0, atol=1e-9)
    assert fused.weight.dtype == torch.float32
    with pytest.raises(TypeError, match="got IFNode and BatchNorm2d"):
        functional.fused_conv_bn(net.node, norm)
    with pytest.raises(ValueError, match="it has 5 features, 4 come in"):
        functional.fused_conv_bn(conv, net.head_norm)
