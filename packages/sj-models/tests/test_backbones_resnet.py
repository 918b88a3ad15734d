"""ResNet backbones: twins with and without neurons, options, initialisation."""

import pytest
import torch
from torch import nn

from sj_layers import ThresholdDependentBatchNorm2d
from sj_models import build_conv_layer, build_norm_layer
from sj_models.backbones import ResNet, ResNet_CIFAR
from sj_neurons import functional

SMALL = {"depth": 18, "stem_channels": 8, "base_channels": 4}
X = 2 * torch.rand(3, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def net(**options):
    torch.manual_seed(0)
    return ResNet(**{**SMALL, **options}).eval()


def meta(**options):
    with torch.device("meta"):
        return ResNet(**options)


@pytest.mark.parametrize("residual", ["basic", "sew", "ms"])
@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_spiking_twins_have_the_keys_of_the_ann(depth, residual):
    ann, twin = meta(depth=depth), meta(depth=depth, residual=residual, neuron="IF")
    assert list(twin.state_dict()) == list(ann.state_dict())


@pytest.mark.parametrize("residual", ["basic", "sew", "ms"])
def test_weights_of_an_ann_miss_only_what_neurons_have(residual):
    ann, twin = net(), net(residual=residual, neuron={"type": "PLIF", "init_tau": 3.0})
    missing, unexpected = twin.load_state_dict(ann.state_dict(), strict=False)
    sites = [f"layer{s}.{b}.sn{c}" for s in (1, 2, 3, 4) for b in (0, 1) for c in (1, 2)]
    more = {
        "basic": ["sn1"],
        "sew": ["sn1", *(f"layer{s}.0.downsample_sn" for s in (1, 2, 3, 4))],
        "ms": ["out_sn4"],
    }[residual]
    assert sorted(missing) == sorted(f"{site}.w" for site in [*sites, *more])
    assert unexpected == []
    torch.testing.assert_close(twin.norm1(twin.conv1(X))[0], ann.norm1(ann.conv1(X[0])))


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({"residual": "basic"}, {0.0, 1.0}),
        ({"residual": "sew", "connect": "and"}, {0.0, 1.0}),
        ({"residual": "sew", "connect": "IAND"}, {0.0, 1.0}),
        ({"residual": "sew"}, set(map(float, range(12)))),
        ({"residual": "ms"}, {0.0, 1.0}),
    ],
)
def test_features_are_spikes(options, values):
    y = net(neuron="LIF", out_indices=range(4), **options).train()(X)  # batch statistics: it fires
    assert y[0].any() or options.get("connect") == "and"  # every block may silence some more
    assert set(torch.cat([feature.flatten() for feature in y]).unique().tolist()) <= values


def test_ann_with_its_relus_is_the_textbook_network():
    ann = net(out_indices=(0,))
    x = ann.maxpool(ann.norm1(ann.conv1(X[0])).relu())
    for block in ann.layer1:
        shortcut = x if block.downsample is None else block.downsample(x)
        y = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
        x = (y + shortcut).relu()
    torch.testing.assert_close(ann(X[0])[0], x)


@pytest.mark.parametrize("neuron", [None, "IF"])
def test_options_of_stem_shortcut_and_stages(neuron):
    x = X if neuron else X[0]
    deep = net(deep_stem=True, avg_down=True, neuron=neuron)
    keys = list(deep.state_dict())
    assert "stem.2.conv.weight" in keys and "layer2.0.downsample.2.weight" in keys
    assert [m.conv.out_channels for m in deep.stem] == [4, 4, 8]
    assert deep(x)[0].shape[-3:] == (32, 1, 1)
    dilated = net(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), neuron=neuron)
    assert dilated(x)[0].shape[-2:] == (4, 4) and dilated.strides == (8,)
    short = net(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(-1,), neuron=neuron)
    assert short(x)[0].shape[-3:] == (8, 4, 4) and short.res_layers == ["layer1", "layer2"]
    events = net(in_channels=2, neuron=neuron, norm_cfg={"type": "GN", "num_groups": 2})
    assert events.norm1_name == "gn1" and events.norm1 is events.gn1
    assert events(x[..., :2, :, :])[0].shape[-3] == 32
    assert "gn2" in dict(events.layer1[0].named_children())
    wide = net(depth=50, expansion=2, neuron=neuron)
    assert wide.layer1[0].conv1.out_channels == 4 and wide.out_channels == (64,)


def test_deep_stem_without_last_neuron_before_membrane_shortcuts():
    assert not hasattr(net(deep_stem=True, residual="ms", neuron="IF").stem[2], "sn")
    assert not hasattr(net(residual="ms", neuron="IF"), "sn1")


@pytest.mark.parametrize(
    ("options", "zero"),
    [
        ({}, True),
        ({"residual": "ms"}, True),
        ({"residual": "ms", "neuron": "LIF"}, True),
        ({"residual": "sew", "neuron": "LIF"}, False),
        ({"residual": "sew"}, False),
        ({"neuron": "LIF"}, False),
        ({"neuron": "LIF", "zero_init_residual": True}, True),
        ({"zero_init_residual": False}, False),
        ({"norm_cfg": {"type": "GN", "num_groups": 2}, "depth": 50}, True),
    ],
)
def test_branches_start_at_zero_where_they_can_learn(options, zero):
    backbone = net(**options)
    backbone.init_weights()
    lasts = [block.last_norm.weight for block in backbone.modules() if hasattr(block, "last_norm")]
    assert len(lasts) in (8, 16)
    assert all(bool((weight == 0).all()) is zero for weight in lasts)
    assert (backbone.norm1.weight == 1).all()
    std = backbone.layer4[1].conv2.weight.std().item()
    assert std == pytest.approx((2 / (backbone.layer4[1].conv2.out_channels * 9)) ** 0.5, rel=0.1)


def test_a_branch_at_zero_passes_its_input_on():
    backbone = net(residual="ms", neuron="LIF")
    backbone.init_weights()
    block = backbone.layer1[1]
    currents = torch.randn(3, 2, 4, 8, 8)
    assert torch.equal(block(currents), currents)


@pytest.mark.parametrize(("residual", "share"), [("basic", 2**-0.5), ("ms", 2**-0.5), ("sew", 1.0)])
def test_threshold_dependent_norms_start_at_their_scale(residual, share):
    backbone = net(
        norm_cfg={"type": "tdBN", "v_th": 0.5},
        residual=residual,
        neuron="IF",
        zero_init_residual=False,
    )
    backbone.init_weights()
    block = backbone.layer2[0]
    assert isinstance(block.bn1, ThresholdDependentBatchNorm2d)
    for norm, scale in ((block.bn1, 1.0), (block.bn2, share), (block.downsample[1], share)):
        torch.testing.assert_close(norm.weight.detach(), torch.full((8,), 0.5 * scale))
    assert list(backbone.state_dict()) == list(net().state_dict())


def test_norms_with_one_set_of_statistics_per_step():
    backbone = net(norm_cfg={"type": "BNTT", "T": 3}, neuron="IF", zero_init_residual=True)
    backbone.init_weights()
    assert backbone(X)[0].shape == (3, 2, 32, 1, 1)
    assert all((norm.weight == 0).all() for norm in backbone.layer1[0].bn2.bn_list)


def test_pretrained_weights_win_over_zeros(tmp_path):
    state = net().state_dict()
    path = tmp_path / "resnet.pth"
    torch.save(state, path)
    backbone = net(init_cfg={"type": "Pretrained", "checkpoint": str(path)})
    backbone.init_weights()
    assert all(torch.equal(value, state[key]) for key, value in backbone.state_dict().items())


def test_stochastic_depth():
    backbone = net(drop_path_rate=0.999, neuron="IF", residual="ms").train()
    blocks = [m for m in backbone.modules() if hasattr(m, "drop_path")]
    assert [block.drop_path.drop_prob for block in blocks] == [0.999] * 8
    currents = torch.randn(3, 2, 4, 8, 8)
    assert torch.equal(backbone.layer1[1](currents), currents)


class SeedCIFAR(ResNet):
    """The walk-through's backbone: another stem, and its own forward pass."""

    def __init__(self, depth, deep_stem=False, **kwargs):
        super().__init__(depth, deep_stem=deep_stem, **kwargs)
        assert not self.deep_stem, "SeedCIFAR has no deep stem"

    def _make_stem_layer(self, in_channels, base_channels):
        self.conv1 = build_conv_layer(
            self.conv_cfg,
            in_channels,
            base_channels,
            kernel_size=3,
            stride=1,
            padding=1,
            bias=False,
        )
        self.norm1_name, norm1 = build_norm_layer(self.norm_cfg, base_channels, postfix=1)
        self.add_module(self.norm1_name, norm1)
        self.relu = self.make_activation() if self.spiking else nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.norm1(self.conv1(x)))
        outs = []
        for i, layer_name in enumerate(self.res_layers):
            x = getattr(self, layer_name)(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)


@pytest.mark.parametrize("neuron", [None, {"type": "LIF", "tau": 1.5}])
def test_a_stem_of_your_own(neuron):
    torch.manual_seed(0)
    own = SeedCIFAR(18, stem_channels=8, base_channels=4, neuron=neuron).eval()
    ours = ResNet_CIFAR(18, stem_channels=8, base_channels=4, neuron=neuron).eval()
    ours.load_state_dict(own.state_dict())
    x = X if neuron else X[0]
    torch.testing.assert_close(own(x)[0], ours(x)[0])
    assert own.get_layer_depth("bn1.weight")[0] == 0


def test_cifar_stem_keeps_the_size():
    backbone = ResNet_CIFAR(**SMALL, out_indices=(0, 3), neuron="IF").eval()
    assert [y.shape[-1] for y in backbone(X)] == [32, 4]
    assert backbone.strides == (1, 8)
    assert backbone.conv1.weight.shape == (8, 3, 3, 3)
    with pytest.raises(ValueError, match="no deep_stem"):
        ResNet_CIFAR(18, deep_stem=True)


def test_state_is_reset_by_the_framework():
    backbone = net(neuron="LIF")
    first = backbone(X)[0]
    functional.reset_net(backbone)
    assert torch.equal(backbone(X)[0], first)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"depth": 20}, KeyError, "invalid depth 20; choose one of 18, 34"),
        ({"residual": "sow"}, ValueError, "residual must be one of .*'sew'"),
        ({"residual": "sew", "connect": "OR"}, ValueError, "connect must be one of"),
        ({"style": "keras"}, ValueError, "style must be one of"),
        ({"strides": (1, 2)}, ValueError, "strides and dilations have as many"),
        ({"dilations": (1,)}, ValueError, "strides and dilations have as many"),
        ({"num_stages": 5}, ValueError, "num_stages must be from 1 to 4"),
        ({"out_indices": (4,)}, ValueError, "out_indices must be from -4 to 3"),
        ({"frozen_stages": 5}, ValueError, "frozen_stages must be at most 4"),
        ({"residual": "sew", "connect": "AND"}, ValueError, "needs neuron="),
        (
            {"residual": "sew", "connect": "IAND", "neuron": "IF", "drop_path_rate": 0.1},
            ValueError,
            "drop_path_rate=0",
        ),
        ({"depth": "18"}, KeyError, "invalid depth '18'"),
        ({"in_channels": 0}, ValueError, "in_channels must be 1 or more"),
        ({"base_channels": -8}, ValueError, "base_channels must be 1 or more"),
        ({"expansion": 0}, ValueError, "expansion must be 1 or more"),
        ({"strides": (0, 1, 1, 1)}, ValueError, "strides must be 1 or more"),
        ({"strides": 2.0}, TypeError, "strides must be made of integers"),
        ({"out_indices": True}, TypeError, "out_indices must be integers"),
        ({"neuron": "LEF"}, ValueError, "there is no neuron 'LEF'"),
        ({"neuron": {"type": "LIF", "taw": 2}}, TypeError, "taw"),
        ({"norm_cfg": {"type": "BM"}}, ValueError, "norm_cfg"),
    ],
)
def test_wrong_arguments_fail_at_construction(options, error, message):
    with pytest.raises(error, match=message):
        meta(**{**SMALL, **options})


class Shift(torch.nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.full((num_features, 1, 1), 2.0))

    def forward(self, x):
        return x + self.bias


def test_a_norm_of_your_own_starts_as_it_does():
    backbone = ResNet(**SMALL, norm_cfg={"type": Shift})
    backbone.init_weights()
    assert backbone.norm1.bias.eq(2).all()
