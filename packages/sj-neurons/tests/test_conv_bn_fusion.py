"""Folding BatchNorm for inference."""

import pytest
import torch
from torch import nn

from sj_neurons import base, functional, neuron


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


class StepConv2d(nn.Conv2d, base.StepModule):
    """A convolution that folds time in step mode `'m'`."""

    def forward(self, input):
        return fold_time(self, super().forward, input)


class StepBatchNorm2d(nn.BatchNorm2d, base.StepModule):
    def forward(self, input):
        return fold_time(self, super().forward, input)


def fold_time(module, forward, x):
    return forward(x) if module.step_mode == "s" else functional.seq_to_ann_forward(x, forward)


@pytest.mark.parametrize("mode", ["s", "m"])
def test_packing_changes_neither_values_nor_gradients(mode):
    torch.manual_seed(0)
    net = nn.Sequential(
        StepConv2d(1, 2, 3), StepBatchNorm2d(2), neuron.LIFNode(), StepConv2d(2, 1, 1)
    ).double()
    functional.set_step_mode(net, mode)
    x = torch.rand(*((3,) if mode == "m" else ()), 4, 1, 5, 5, dtype=torch.float64)
    packed = functional.pack_conv_bn_train_modules(net)
    assert isinstance(packed[0], functional.PackedConvBN)
    assert isinstance(packed[1], nn.Identity)
    assert f"step_mode={mode}" in repr(packed[0])
    assert torch.equal(packed(x), net(x))
    packed(x).sum().backward()
    net(x).sum().backward()
    for packed_name, name in [("0.conv.weight", "0.weight"), ("0.norm.bias", "1.bias")]:
        expected = net.get_parameter(name).grad
        torch.testing.assert_close(packed.get_parameter(packed_name).grad, expected)
    torch.testing.assert_close(packed[0].norm.running_var, net[1].running_var)
    assert net[0].step_mode == mode
    functional.set_step_mode(packed, "s")
    functional.reset_net(packed)
    assert packed(x.reshape(-1, 1, 5, 5)).shape[1] == 1


def test_packing_leaves_plain_layers_in_single_step_mode(net):
    net.train()
    packed = functional.pack_conv_bn_train_modules(net)
    x = torch.rand(2, 3, 6, 6, dtype=torch.float64)
    assert torch.equal(packed(x), net(x))
    assert isinstance(packed.head, nn.Linear)
    mixed = nn.Sequential(StepConv2d(1, 1, 1), nn.BatchNorm2d(1))
    mixed[0].step_mode = "m"
    assert isinstance(functional.pack_conv_bn_train_modules(mixed)[0], StepConv2d)
    with pytest.raises(ValueError, match=r"net.train\(\)"):
        functional.pack_conv_bn_train_modules(net.eval())


@pytest.fixture
def pair(net) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    return net.conv, net.norm


def test_weight_and_bias_of_the_pair_are_those_of_the_fused_layer(pair):
    fused = functional.fuse_convbn2d(*pair)
    weight = functional.fused_conv2d_weight_of_convbn2d(*pair)
    bias = functional.fused_conv2d_bias_of_convbn2d(*pair)
    torch.testing.assert_close(weight, fused.weight)
    torch.testing.assert_close(bias, fused.bias)
    assert torch.autograd.grad(weight.sum() + bias.sum(), pair[1].weight)[0].shape == (4,)


def test_scaling_the_pair_scales_the_fused_layer(pair):
    weight = functional.fused_conv2d_weight_of_convbn2d(*pair).detach()
    bias = functional.fused_conv2d_bias_of_convbn2d(*pair).detach()
    functional.scale_fused_conv2d_weight_of_convbn2d(*pair)
    functional.scale_fused_conv2d_weight_of_convbn2d(*pair, k=3.0, b=0.5)
    functional.scale_fused_conv2d_bias_of_convbn2d(*pair)
    functional.scale_fused_conv2d_bias_of_convbn2d(*pair, k=2.0, b=torch.arange(4.0))
    scaled = functional.fused_conv2d_weight_of_convbn2d(*pair)
    torch.testing.assert_close(scaled, 3 * weight + 0.5)
    moved = functional.fused_conv2d_bias_of_convbn2d(*pair)
    torch.testing.assert_close(moved, 2 * bias + torch.arange(4.0))


def test_a_norm_without_parameters_counts_as_identity_scale():
    conv, norm = nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, affine=False)
    weight = functional.fused_conv2d_weight_of_convbn2d(conv, norm)
    torch.testing.assert_close(weight, conv.weight / (1 + norm.eps) ** 0.5)
    assert functional.fused_conv2d_bias_of_convbn2d(conv, norm).item() == 0
    with pytest.raises(ValueError, match="affine=True"):
        functional.scale_fused_conv2d_bias_of_convbn2d(conv, norm, k=2.0)


@pytest.mark.parametrize(
    "call",
    [
        functional.fuse_convbn2d,
        functional.fused_conv2d_weight_of_convbn2d,
        functional.fused_conv2d_bias_of_convbn2d,
        functional.scale_fused_conv2d_weight_of_convbn2d,
        functional.scale_fused_conv2d_bias_of_convbn2d,
    ],
)
def test_a_pair_needs_no_bias_and_statistics(call):
    with pytest.raises(ValueError, match="bias=False"):
        call(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    with pytest.raises(ValueError, match="running statistics"):
        call(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, track_running_stats=False))
