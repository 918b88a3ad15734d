"""Backbones of the components against recorded peers: keys, shapes, features, masks, positions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sj_models import backbones
from sj_models.backbones.mae_vit import random_masking
from sj_models.backbones.position import resize_position_embedding, sincos_position_embedding

TINY = {"embed_dims": 24, "num_layers": 2, "num_heads": 3, "feedforward_channels": 36}
SMALL_VIT = {"arch": TINY, "img_size": 16, "patch_size": 4}


def rows(goldens: Path, name: str) -> Any:
    return json.loads((goldens / "components" / name).read_text())


def part(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The weights of a part of a model."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet18_deepstem_avgdown",
        "resnet_cifar18",
        "mobilenet_v2_1x",
        "vit_deit_tiny",
        "mae_vit_deit_tiny",
        "beit_pretrain_small",
    ],
)
def test_keys_shapes_and_trainable_parameters(name, goldens):
    golden = rows(goldens, "model_keys.json")[name]
    config = dict(golden["config"])
    with torch.device("meta"):
        net = getattr(backbones, config.pop("type"))(**config)
    state = net.state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == golden["state_dict"]
    parameters = dict(net.named_parameters())
    assert sum(p.numel() for p in parameters.values()) == golden["num_parameters"]
    assert [k for k, p in parameters.items() if not p.requires_grad] == golden["frozen"]


@pytest.mark.parametrize(
    ("name", "kind", "prefix"),
    [
        ("image_classifier_resnet_cifar18", "ResNet_CIFAR", "backbone"),
        ("mae_deit_tiny_full", "MAEViT", "backbone"),
        ("vqkd_tiny", "BEiTViT", "encoder"),
    ],
)
def test_keys_of_backbones_inside_models(name, kind, prefix, goldens):
    golden = rows(goldens, "model_keys.json")[name]
    config = golden["config"].get(prefix) or golden["config"][f"{prefix}_config"]
    with torch.device("meta"):
        net = getattr(backbones, kind)(**{k: v for k, v in config.items() if k != "type"})
    own = {key: list(value.shape) for key, value in net.state_dict().items()}
    assert own == part(golden["state_dict"], f"{prefix}.")


@pytest.mark.parametrize(
    ("name", "kind", "arguments"),
    [
        ("resnet18@224", "ResNet", {"depth": 18}),
        ("resnet18@32", "ResNet", {"depth": 18}),
        ("resnet_cifar18@32", "ResNet_CIFAR", {"depth": 18}),
        ("resnet50@64", "ResNet", {"depth": 50}),
        ("mobilenet_v2@64", "MobileNetV2", {}),
    ],
)
def test_shapes_of_features(name, kind, arguments, goldens):
    expected = rows(goldens, "feature_shapes.json")[name]
    size = int(name.rpartition("@")[2])
    with torch.device("meta"):
        net = getattr(backbones, kind)(**arguments, out_indices=range(len(expected))).eval()
        y = net(torch.empty(1, 3, size, size))
    assert [list(feature.shape) for feature in y] == expected
    assert [feature.shape[1] for feature in y] == list(net.out_channels)
    assert [size // feature.shape[2] for feature in y] == list(net.strides)


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        ("ResNet18_w4", "ResNet"),
        ("ResNet_CIFAR18_w4", "ResNet_CIFAR"),
        ("mobilenetv2_0.125", "MobileNetV2"),
    ],
)
def test_outputs_of_convolutional_networks(case, kind, component_golden):
    golden = component_golden("models.npz", case)
    params = dict(golden.row["params"])
    assert params.pop("mode") == "eval"
    net = getattr(backbones, kind)(**params).eval()
    missing, unexpected = net.load_state_dict(golden.state, strict=False)
    assert not unexpected
    assert all(key.startswith("conv2.") for key in missing)  # not stored: no output needs it
    y = net(golden.given["x"])
    assert len(y) == len(golden.expected)
    for index, feature in enumerate(y):
        golden.check(f"y{index}", feature)


def test_backbone_of_the_classifier(component_golden):
    golden = component_golden("models.npz", "ImageClassifier_seedcfg")
    params = dict(golden.row["params"]["backbone"])
    assert params.pop("type") == "ResNet_CIFAR"
    net = backbones.ResNet_CIFAR(**params).eval()
    net.load_state_dict(part(golden.state, "backbone."))
    golden.check("backbone", net(golden.given["x"])[0])


@pytest.mark.parametrize("out_type", ["raw", "cls_token", "featmap", "avg_featmap"])
def test_outputs_of_the_vision_transformer(out_type, component_golden):
    golden = component_golden("models.npz", f"vit_{out_type}")
    state = component_golden("models.npz", "vit_raw").state  # shared by all four
    net = backbones.VisionTransformer(**SMALL_VIT, out_type=out_type, out_indices=[0, -1]).eval()
    net.load_state_dict(state if out_type == "raw" else state | golden.state)
    y = net(golden.given["x"])
    golden.check("y0", y[0])
    golden.check("y1", y[1])


def test_masked_autoencoder(component_golden):
    golden = component_golden("models.npz", "mae_tiny")
    net = backbones.MAEViT(**SMALL_VIT, mask_ratio=0.75).eval()
    net.load_state_dict(part(golden.state, "backbone."))
    x = golden.given["x"]
    latent, mask, restore = net(x, noise=golden.given["noise"])
    golden.check("latent", latent)
    golden.check("mask", mask)
    golden.check("ids_restore", restore)
    for seen in (None, False):
        golden.check("extract_feat", net(x, mask=seen)[0])


@pytest.mark.parametrize(
    "case",
    [
        "mask_n2L16D3r0.75",
        "mask_n3L10D2r0.5",
        "mask_n1L9D4r0.6",
        "mask_n2L7D2r0.9",
        "mask_n2L4D1r0.0",
    ],
)
def test_random_masking(case, component_golden):
    golden = component_golden("random_masking.npz", case)
    params = golden.row["params"]
    kept, mask, restore = random_masking(
        golden.given["x"], params["mask_ratio"], noise=golden.given["noise"]
    )
    assert kept.shape[1] == params["len_keep"]
    golden.check("x_masked", kept)
    golden.check("mask", mask)
    golden.check("ids_restore", restore)


@pytest.mark.parametrize(
    "case", ["sincos_4_16_False", "sincos_3_8_True", "sincos_(2,3)_8_False", "sincos_14_48_True"]
)
def test_sine_and_cosine_positions(case, component_golden):
    golden = component_golden("sincos.npz", case)
    resolution, dims, temperature, cls_token = golden.row["params"].values()
    pe = sincos_position_embedding(resolution, dims, temperature, cls_token)
    assert pe.shape == golden.expected["pe"].shape
    if isinstance(resolution, int):
        golden.check("pe", pe)
    else:  # informative: the peer puts positions of other grids in the wrong places
        assert torch.equal(pe, sincos_position_embedding(3, dims, temperature)[:, :6])


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
def test_resized_positions(mode, component_golden):
    golden = component_golden("sincos.npz", f"resize_{mode}")
    params = golden.row["params"]
    pe = resize_position_embedding(
        golden.given["pe"], params["src"], params["dst"], mode, params["num_extra_tokens"]
    )
    golden.check("pe", pe)
