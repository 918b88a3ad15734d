"""Rules for parameters: what they fill, what they match, what they refuse."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sj_models.errors import ConfigError
from sj_models.initialise import apply_rule, as_rules, initialise_children, is_pretrained


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 32, 3)
        self.norm = nn.BatchNorm2d(32)
        self.fc = nn.Linear(32, 64)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


@pytest.mark.parametrize(
    ("rule", "low", "high", "std"),
    [
        ({"type": "Constant", "val": 0.5}, 0.5, 0.5, 0.0),
        ({"type": "Normal", "mean": 10.0, "std": 0.1}, 9, 11, 0.1),
        ({"type": "TruncNormal", "a": -0.5, "b": 1.0}, -0.5, 1.0, None),
        ({"type": "Uniform", "a": 2.0, "b": 3.0}, 2.0, 3.0, 1 / math.sqrt(12)),
        ({"type": "Xavier"}, -1, 1, math.sqrt(2 / 96)),
        ({"type": "Xavier", "distribution": "uniform"}, -0.25, 0.25, math.sqrt(2 / 96)),
        ({"type": "Kaiming"}, -1, 1, math.sqrt(2 / 64)),
        ({"type": "Kaiming", "mode": "fan_in", "nonlinearity": "linear"}, -1, 1, math.sqrt(1 / 32)),
        ({"type": "Caffe2Xavier"}, -math.sqrt(3 / 32), math.sqrt(3 / 32), math.sqrt(1 / 32)),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_a_rule_fills_weights_and_biases(
    net: Net, rule: dict[str, Any], low: float, high: float, std: float | None
):
    report = apply_rule(net, rule | {"layer": "Linear", "bias": 3.0})
    weight = net.fc.weight.detach()
    assert low <= float(weight.min()) and float(weight.max()) <= high
    if std is not None:
        assert float(weight.std()) == pytest.approx(std, rel=0.1)
    assert (net.fc.bias == 3.0).all()
    assert list(report) == ["fc.weight", "fc.bias"]
    assert report["fc.weight"].startswith(rule["type"] + "(")


def test_bias_is_zero_or_has_a_probability(net: Net):
    apply_rule(net, {"type": "Constant", "val": 0, "layer": nn.Linear})
    assert (net.fc.bias == 0).all()
    apply_rule(net, {"type": "Constant", "val": 0, "layer": nn.Linear, "bias_prob": 0.01})
    torch.testing.assert_close(net.fc.bias.sigmoid(), torch.full((64,), 0.01))


def test_layers_match_by_class_name_or_base(net: Net):
    rule = {"type": "Constant", "val": 7}
    assert list(apply_rule(net, rule | {"layer": ["_BatchNorm", "GroupNorm"]})) == [
        "norm.weight", "norm.bias"
    ]  # fmt: skip
    assert len(apply_rule(net, rule | {"layer": [nn.Conv2d, "Linear"]})) == 4
    assert (net.conv.weight == 7).all()


def test_an_override_sets_one_child(net: Net):
    before = net.conv.weight.clone()
    rule = {"type": "Constant", "val": 1, "bias": 2, "override": {"name": "fc"}}
    assert list(apply_rule(net, rule)) == ["fc.weight", "fc.bias"]
    assert (net.fc.weight == 1).all() and (net.fc.bias == 2).all()
    assert torch.equal(net.conv.weight, before)
    rule = {
        "type": "Constant", "val": 3, "layer": "Conv2d",
        "override": [{"name": "fc", "type": "Constant", "val": 4}, {"name": "norm"}],
    }  # fmt: skip
    assert len(apply_rule(net, rule)) == 6
    assert (net.conv.weight == 3).all() and (net.fc.weight == 4).all()
    assert (net.norm.weight == 3).all()


def test_rules_with_fans_pass_over_norms(net: Net):
    rule = {"type": "Xavier", "override": {"name": "norm"}}
    assert list(apply_rule(net, rule)) == ["norm.bias"]


@pytest.mark.parametrize(
    ("rule", "kind", "text"),
    [
        ({"type": "Kaimin", "layer": "Linear"}, KeyError, "'Kaimin'; did you mean 'Kaiming'"),
        ({"layer": "Linear"}, KeyError, "no rule None"),
        ({"type": "Normal", "layer": "Linear", "sd": 1}, TypeError, "did you mean 'std'"),
        ({"type": "Constant", "layer": "Linear"}, TypeError, "Constant needs 'val'"),
        ({"type": "Normal"}, ValueError, "Normal names no layer"),
        ({"type": "Normal", "layer": "Conv3d"}, ValueError, "no layer in Net"),
        ({"type": "Xavier", "layer": "Linear", "distribution": "x"}, ValueError, "'uniform'"),
        ({"type": "Normal", "override": {"name": "cov"}}, ValueError, "did you mean 'conv'"),
        ({"type": "Normal", "override": {"std": 1}}, ValueError, "no child None"),
        ({"type": "Normal", "override": {"name": "fc", "std": 1}}, ValueError, "needs a 'type'"),
        ({"type": "Normal", "override": 3}, TypeError, "a rule or a list of rules"),
        ({"type": "Pretrained"}, TypeError, "Pretrained needs 'checkpoint'"),
        ({"type": "Pretrained", "checkpoint": "no.pth"}, FileNotFoundError, "no file no.pth"),
    ],
)
def test_wrong_rules_are_explained(net: Net, rule: dict[str, Any], kind: type, text: str):
    with pytest.raises(kind, match=text):
        apply_rule(net, rule)


@pytest.mark.parametrize("key", ["state_dict", "model", None])
def test_pretrained_weights_come_from_a_file(net: Net, tmp_path: Path, key: str | None):
    weights = {f"backbone.{k}": v + 1 for k, v in net.state_dict().items()}
    weights["backbone.fc.weight"] = torch.zeros(2, 2)
    path = tmp_path / "net.pth"
    torch.save({key: weights} if key else weights, path)
    rule = {"type": "Pretrained", "checkpoint": str(path), "prefix": "backbone"}
    expected = net.conv.weight + 1
    report = apply_rule(net, rule)
    assert torch.equal(net.conv.weight, expected)
    assert report["conv.weight"] == f"Pretrained({path})"
    assert "fc.weight" not in report
    assert is_pretrained(rule)


def test_pretrained_weights_come_from_an_address(
    net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "served.pth"
    torch.save({k: v + 1 for k, v in net.state_dict().items()}, path)
    expected = net.fc.bias + 1
    apply_rule(net, {"type": "Pretrained", "checkpoint": path.as_uri()})
    assert torch.equal(net.fc.bias, expected)


@pytest.mark.parametrize("prefix", [None, "head."])
def test_a_file_in_which_nothing_fits_is_refused(net: Net, tmp_path: Path, prefix: str | None):
    path = tmp_path / "other.pth"
    torch.save({"other.weight": torch.zeros(1)}, path)
    with pytest.raises(ConfigError, match=r"nothing in .*other\.pth fits Net"):
        apply_rule(net, {"type": "Pretrained", "checkpoint": str(path), "prefix": prefix})


def test_a_file_with_code_is_refused(net: Net, tmp_path: Path):
    path = tmp_path / "code.pth"
    torch.save({"weights": Path("x")}, path)
    with pytest.raises(ValueError, match="holds more than tensors, which may be code"):
        apply_rule(net, {"type": "Pretrained", "checkpoint": path})


def test_several_rules_or_one_or_none():
    assert as_rules(None) == []
    assert as_rules({"type": "A"}) == [{"type": "A"}]
    with pytest.raises(TypeError, match="a rule or a list"):
        as_rules(["A"])


def test_modules_without_rules_are_searched_for_those_with():
    class Part(nn.Linear):
        def init_weights(self) -> None:
            nn.init.constant_(self.weight, 5)

    net = nn.Sequential(nn.Sequential(Part(1, 1)), nn.ReLU())
    assert initialise_children(net) == {}
    assert (net[0][0].weight == 5).all()


def test_pretrained_positions_of_another_grid_are_resized(tmp_path: Path):
    from sj_models.backbones import VisionTransformer

    arch = {"embed_dims": 8, "num_layers": 1, "num_heads": 2, "feedforward_channels": 8}
    small, large = (VisionTransformer(arch, img_size=s, patch_size=8) for s in (16, 32))
    torch.save(small.state_dict(), tmp_path / "small.pth")
    report = apply_rule(large, {"type": "Pretrained", "checkpoint": str(tmp_path / "small.pth")})
    assert "pos_embed" in report
    torch.testing.assert_close(large.pos_embed[:, :1], small.pos_embed[:, :1])


def test_a_layer_without_parameters_is_no_mistake():
    norm = nn.Sequential(nn.BatchNorm1d(2, affine=False))
    assert apply_rule(norm, {"type": "Constant", "val": 1, "layer": "_BatchNorm"}) == {}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"type": "Normal", "layer": "Linear", "bias_prob": 1}, "bias_prob is between 0 and 1"),
        ({"type": "Normal", "layer": "Linear", "bias_prob": "x"}, "bias_prob is between 0 and 1"),
        ({"type": "Normal", "layer": "Linear", "bias": "x"}, r"init_cfg: Normal\(bias='x'\): "),
        ({"type": "Normal", "layer": "Linear", "std": -1}, r"init_cfg: Normal\(std=-1\): "),
        ({"type": "Kaiming", "layer": "Linear", "mode": "fan"}, "Mode fan not supported"),
    ],
)
def test_wrong_values_name_the_rule(net: Net, rule: dict[str, Any], text: str):
    with pytest.raises(ValueError, match=text):
        apply_rule(net, rule)


def test_an_optional_rule_need_not_match(net: Net):
    rule = {"type": "Constant", "val": 1, "layer": "Conv3d", "optional": True}
    assert apply_rule(net, rule) == {}
