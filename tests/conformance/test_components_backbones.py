"""Backbones of the components against recorded peers: keys, shapes, features, masks, positions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from sj_models.backbones.beit_vit import BEiTPretrainViT, BEiTViT
from sj_models.backbones.mae_vit import MAEViT, random_masking
from sj_models.backbones.mobilenet_v2 import MobileNetV2
from sj_models.backbones.position import resize_position_embedding, sincos_position_embedding
from sj_models.backbones.resnet import ResNet
from sj_models.backbones.resnet_cifar import ResNet_CIFAR
from sj_models.backbones.vision_transformer import VisionTransformer

KINDS = {
    "ResNet": ResNet,
    "ResNet_CIFAR": ResNet_CIFAR,
    "MobileNetV2": MobileNetV2,
    "VisionTransformer": VisionTransformer,
    "MAEViT": MAEViT,
    "BEiTPretrainViT": BEiTPretrainViT,
}
TINY = {"embed_dims": 24, "num_layers": 2, "num_heads": 3, "feedforward_channels": 36}


class Cases:
    """Arrays and manifest entries of one file."""

    def __init__(self, folder, name):
        self.arrays = np.load(folder / name)
        manifest = json.loads((folder / "manifest.json").read_text())
        self.entries = {case["case"]: case for case in manifest["files"][name]["cases"]}

    def get(self, case, group):
        start = f"{case}/{group}/"
        return {
            key.removeprefix(start): torch.from_numpy(self.arrays[key])
            for key in self.arrays.files
            if key.startswith(start)
        }

    def part(self, case, prefix):
        """The weights of a part of a model."""
        state = self.get(case, "state")
        return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}

    def check(self, case, **outputs):
        entry, expected = self.entries[case], self.get(case, "out")
        for name, value in outputs.items():
            rtol, atol = entry["rtol"], entry["atol"]
            torch.testing.assert_close(value, expected[name], rtol=rtol, atol=atol)


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "conformance" / "components"


@pytest.fixture(scope="module")
def models(folder):
    return Cases(folder, "models.npz")


BACKBONES = [
    "resnet18",
    "resnet18_deepstem_avgdown",
    "resnet_cifar18",
    "mobilenet_v2_1x",
    "vit_deit_tiny",
    "mae_vit_deit_tiny",
    "beit_pretrain_small",
]


@pytest.mark.parametrize("name", BACKBONES)
def test_keys_shapes_and_trainable_parameters(name, folder):
    golden = json.loads((folder / "model_keys.json").read_text())[name]
    config = dict(golden["config"])
    with torch.device("meta"):
        net = KINDS[config.pop("type")](**config)
    state = net.state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == golden["state_dict"]
    parameters = dict(net.named_parameters())
    assert sum(p.numel() for p in parameters.values()) == golden["num_parameters"]
    assert [k for k, p in parameters.items() if not p.requires_grad] == golden["frozen"]


def test_keys_of_the_classifier_mae_and_vqkd_begin_with_those_of_backbones(folder):
    golden = json.loads((folder / "model_keys.json").read_text())
    parts = {
        "mae_deit_tiny_full": ("backbone.", MAEViT(arch="deit-tiny")),
        "vqkd_tiny": (
            "encoder.",
            BEiTViT(**golden["vqkd_tiny"]["config"]["encoder_config"]),
        ),
    }
    for name, (prefix, net) in parts.items():
        expected = {k: v for k, v in golden[name]["state_dict"].items() if k.startswith(prefix)}
        own = {f"{prefix}{k}": list(v.shape) for k, v in net.state_dict().items()}
        assert own == expected


SHAPES = {
    "resnet18@224": (ResNet, {"depth": 18}, 224, 4),
    "resnet18@32": (ResNet, {"depth": 18}, 32, 4),
    "resnet_cifar18@32": (ResNet_CIFAR, {"depth": 18}, 32, 4),
    "resnet50@64": (ResNet, {"depth": 50}, 64, 4),
    "mobilenet_v2@64": (MobileNetV2, {}, 64, 8),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_of_features(name, folder):
    expected = json.loads((folder / "feature_shapes.json").read_text())[name]
    kind, arguments, size, outputs = SHAPES[name]
    with torch.device("meta"):
        net = kind(**arguments, out_indices=range(outputs)).eval()
        y = net(torch.empty(1, 3, size, size))
    assert [list(feature.shape) for feature in y] == expected
    assert [feature.shape[1] for feature in y] == list(net.out_channels)
    assert [size // feature.shape[2] for feature in y] == list(net.strides)


CNNS = {
    "ResNet18_w4": ResNet,
    "ResNet_CIFAR18_w4": ResNet_CIFAR,
    "mobilenetv2_0.125": MobileNetV2,
}


@pytest.mark.parametrize("case", CNNS)
def test_outputs_of_convolutional_networks(case, models):
    params = dict(models.entries[case]["params"])
    assert params.pop("mode") == "eval"
    net = CNNS[case](**params).eval()
    missing, unexpected = net.load_state_dict(models.get(case, "state"), strict=False)
    assert not unexpected
    assert all(key.startswith("conv2.") for key in missing)
    y = net(models.get(case, "in")["x"])
    models.check(case, **{f"y{index}": feature for index, feature in enumerate(y)})


def test_backbone_of_the_classifier(models):
    case = "ImageClassifier_seedcfg"
    params = dict(models.entries[case]["params"]["backbone"])
    assert params.pop("type") == "ResNet_CIFAR"
    net = ResNet_CIFAR(**params).eval()
    state = models.get(case, "state")
    weights = {
        k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")
    }
    net.load_state_dict(weights)
    models.check(case, backbone=net(models.get(case, "in")["x"])[0])


@pytest.mark.parametrize("out_type", ["raw", "cls_token", "featmap", "avg_featmap"])
def test_outputs_of_the_vision_transformer(out_type, models):
    case = f"vit_{out_type}"
    net = VisionTransformer(
        arch=TINY, img_size=16, patch_size=4, out_type=out_type, out_indices=[0, -1]
    ).eval()
    net.load_state_dict(
        models.get("vit_raw", "state") | models.get("vit_avg_featmap", "state"), strict=False
    )
    x = models.get(case, "in")["x"]
    y = net(x)
    models.check(case, y0=y[0], y1=y[1])


def test_masked_autoencoder(models):
    net = MAEViT(arch=TINY, img_size=16, patch_size=4, mask_ratio=0.75).eval()
    net.load_state_dict(models.part("mae_tiny", "backbone."))
    inputs = models.get("mae_tiny", "in")
    latent, mask, restore = net(inputs["x"], noise=inputs["noise"])
    models.check("mae_tiny", latent=latent, mask=mask, ids_restore=restore)
    for seen in (None, False):
        models.check("mae_tiny", extract_feat=net(inputs["x"], mask=seen)[0])


def test_random_masking(folder):
    cases = Cases(folder, "random_masking.npz")
    for case, entry in cases.entries.items():
        inputs = cases.get(case, "in")
        kept, mask, restore = random_masking(
            inputs["x"], entry["params"]["mask_ratio"], noise=inputs["noise"]
        )
        assert kept.shape[1] == entry["params"]["len_keep"]
        cases.check(case, x_masked=kept, mask=mask, ids_restore=restore)


def test_sine_and_cosine_positions(folder):
    cases = Cases(folder, "sincos.npz")
    for case in (name for name in cases.entries if name.startswith("sincos")):
        params = cases.entries[case]["params"]
        pe = sincos_position_embedding(
            params["resolution(h,w)"],
            params["embed_dims"],
            params["temperature"],
            params["cls_token"],
        )
        if case == "sincos_(2,3)_8_False":  # informative: the peer's layout is misplaced
            assert list(pe.shape) == cases.entries[case]["out"]["pe"]
            square = sincos_position_embedding(3, 8)
            assert torch.equal(pe, square[:, :6])  # two rows of three
        else:
            cases.check(case, pe=pe)


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
def test_resized_positions(mode, folder):
    cases = Cases(folder, "sincos.npz")
    case = f"resize_{mode}"
    params = cases.entries[case]["params"]
    pe = resize_position_embedding(
        cases.get(case, "in")["pe"], params["src"], params["dst"], mode, params["num_extra_tokens"]
    )
    cases.check(case, pe=pe)
