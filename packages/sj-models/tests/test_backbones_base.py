"""What all backbones promise: a tuple of features, their sizes, freezing, depths, input checks."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import sj_layers
from sj_models.backbones import (
    BEiTPretrainViT,
    BEiTViT,
    MAEViT,
    MobileNetV2,
    ResNet,
    ResNet_CIFAR,
    VisionTransformer,
)
from sj_models.backbones.base import checked_out_indices
from sj_neurons import functional, neuron

ARCH = {"embed_dims": 16, "num_layers": 3, "num_heads": 2, "feedforward_channels": 32}
CNN = {"depth": 18, "stem_channels": 8, "base_channels": 4}
VIT = {"arch": ARCH, "img_size": 16, "patch_size": 4, "out_type": "featmap"}
KINDS = {
    "ResNet": (ResNet, CNN, 4),
    "ResNet_CIFAR": (ResNet_CIFAR, CNN, 4),
    "MobileNetV2": (MobileNetV2, {"widen_factor": 0.1}, 8),
    "VisionTransformer": (VisionTransformer, VIT, 3),
    "MAEViT": (MAEViT, VIT, 3),
    "BEiTViT": (BEiTViT, VIT, 3),
    "BEiTPretrainViT": (BEiTPretrainViT, VIT, 3),
}
SPIKING = {"type": "LIF", "tau": 1.5, "surrogate": {"type": "ATan"}}


def build(kind, spiking=False, **options):
    torch.manual_seed(0)
    cls, arguments, _ = KINDS[kind]
    return cls(**{**arguments, **options}, neuron=SPIKING if spiking else None)


def run(net, x):
    functional.reset_net(net)
    return net(x, mask=None) if isinstance(net, MAEViT | BEiTPretrainViT) else net(x)


@pytest.fixture(params=[False, True], ids=["ann", "spiking"])
def spiking(request):
    return request.param


def images(spiking):
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    return 2 * x.expand(3, -1, -1, -1, -1) if spiking else x


@pytest.mark.parametrize("kind", KINDS)
def test_features_have_the_sizes_that_are_announced(kind, spiking):
    outputs = KINDS[kind][2]
    net = build(kind, spiking, out_indices=[0, -1]).eval()
    assert net.spiking is spiking
    assert net.out_indices == (0, outputs - 1)
    y = run(net, images(spiking))
    assert isinstance(y, tuple) and len(y) == len(net.feature_info) == 2
    lead = (3, 2) if spiking else (2,)
    sizes = zip(net.out_channels, net.strides, strict=True)
    assert [f.shape for f in y] == [(*lead, c, 16 // s, 16 // s) for c, s in sizes if s <= 16] + [
        (*lead, c, 1, 1) for c, s in zip(net.out_channels, net.strides, strict=True) if s > 16
    ]
    assert all(info.name in dict(net.named_modules()) for info in net.feature_info)


@pytest.mark.parametrize("kind", KINDS)
def test_training_reaches_every_parameter(kind, spiking):
    net = build(kind, spiking).train()
    net.init_weights()
    run(net, images(spiking))[-1].square().sum().backward()
    idle = {name for name, p in net.named_parameters() if p.requires_grad and p.grad is None}
    assert idle <= {"mask_token", "cls_token"}


@pytest.mark.parametrize("kind", KINDS)
def test_time_steps_follow_each_other(kind):
    net = build(kind, spiking=True).eval()
    x = 2 * torch.rand(4, 2, 3, 16, 16)
    whole = run(net, x)[-1]
    functional.reset_net(net)
    first, second = (
        net(part, mask=None)[-1] if isinstance(net, MAEViT | BEiTPretrainViT) else net(part)[-1]
        for part in (x[:1], x[1:])
    )
    torch.testing.assert_close(torch.cat((first, second)), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_pickles_give_the_same_features(kind, spiking):
    net = build(kind, spiking).eval()
    x = images(spiking)
    y = run(net, x)[-1]
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(run(twin, x)[-1], y)
    fresh = build(kind, spiking).eval()
    fresh.load_state_dict(net.state_dict(), strict=True)
    assert torch.equal(run(fresh, x)[-1], y)


@pytest.mark.parametrize("kind", KINDS)
def test_modes_return_the_network_and_frozen_parts_stay(kind, spiking):
    depth = KINDS[kind][2] - (kind == "MobileNetV2")
    for stages in range(-1, depth + 1):
        net = build(kind, spiking, frozen_stages=stages)
        assert net.eval() is net and net.train() is net
        fixed = {name for name, p in net.named_parameters() if not p.requires_grad}
        if stages == -1:
            assert fixed <= {"pos_embed"} and all(m.training for m in net.modules())
            continue
        parts = list(net.frozen_parts())
        modules = [part for part in parts if isinstance(part, nn.Module)]
        assert modules and not any(m.training for part in modules for m in part.modules())
        assert fixed >= {n for n, p in net.named_parameters() if net.layer_depth(n) == 0} - {
            "mask_token"
        }
    assert net.train(False).training is False


def test_norms_can_keep_their_statistics():
    net = build("ResNet", norm_eval=True).train()
    before = copy.deepcopy(net.state_dict())
    run(net, images(False))
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_depths_rise_from_the_stem_to_the_rest(kind):
    net = build(kind)
    names = [f"backbone.{name}" for name, _ in net.named_parameters()]
    depths = {net.get_layer_depth(name, "backbone.")[0] for name in names}
    total = net.get_layer_depth("x")[1]
    assert total == net.num_layers + 2
    assert depths >= set(range(net.num_layers + 1))
    assert net.get_layer_depth("head.fc.weight", "backbone.") == (total - 1, total)
    last = {"ResNet": "layer4.1.conv1.weight", "MobileNetV2": "layer7.0.conv.0.conv.weight"}
    name = last.get(kind.removesuffix("_CIFAR"), "layers.2.ln1.weight")
    assert net.get_layer_depth(name) == (net.num_layers, total)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_of_the_wrong_shape(kind, spiking):
    net = build(kind, spiking)
    hint = "repeat or encode" if spiking else "give neuron= for sequences"
    with pytest.raises(ValueError, match=hint):
        run(net, images(not spiking))
    with pytest.raises(ValueError, match="with C=3"):
        run(net, images(spiking)[..., :2, :, :])


@pytest.mark.parametrize("kind", ["ResNet", "ResNet_CIFAR", "MobileNetV2", "VisionTransformer"])
def test_norms_fold_into_convolutions(kind):
    net = build(kind, spiking=True, out_indices=[0, -1]).train()
    for module in net.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = None  # the average of all batches, here of one: neurons fire
    run(net, images(True))
    functional.reset_net(net)
    fused = sj_layers.fuse(net)
    assert not any(isinstance(module, _BatchNorm) for module in fused.modules())
    expected = run(net.eval(), images(True))
    assert expected[0].any()
    difference = (fused(images(True))[0] - expected[0]).abs()
    assert (difference > 1e-3).float().mean() < 0.01  # rounding may move a spike


def test_output_numbers():
    given = [-1, 0]
    assert checked_out_indices("net", given, 4) == (3, 0) and given == [-1, 0]
    assert checked_out_indices("net", (-2,), 4) == (2,)
    assert checked_out_indices("net", 1, 4) == (1,)
    for wrong in (4, -5, ()):
        with pytest.raises(ValueError, match="net: out_indices must be from -4 to 3"):
            checked_out_indices("net", wrong, 4)
    for wrong in ((0.5,), True, None, "3"):
        with pytest.raises(TypeError, match="net: out_indices must be integers"):
            checked_out_indices("net", wrong, 4)


@pytest.mark.parametrize("kind", ["ResNet", "MobileNetV2", "VisionTransformer"])
def test_any_neuron_will_do(kind):
    cls, arguments, _ = KINDS[kind]
    for spec in (neuron.IFNode, "PLIF", {"type": "PSN", "T": 3}, {"type": "KLIFNode"}):
        net = cls(**arguments, neuron=spec)
        assert run(net, images(True))[-1].shape[:2] == (3, 2)
