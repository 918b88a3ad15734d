"""Whole models from configs: what holds for each of them, with and without neurons."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sj_models.build import build
from sj_models.config import dump_config, load_config
from sj_models.registry import MODELS
from sj_neurons import functional

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
LIF = {"type": "LIF", "tau": 2.0, "surrogate": {"type": "ATan"}}
ENCODER = {"type": "Repeat", "T": 3}
ARCH = {"embed_dims": 24, "num_layers": 1, "num_heads": 3, "feedforward_channels": 36}
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([1, 0])
MASK = (torch.arange(32).view(2, 4, 4) % 3 == 0).float()


def classifier(**backbone: Any) -> dict[str, Any]:
    return {
        "type": "ImageClassifier",
        "backbone": {"type": "ResNet_CIFAR", "depth": 18, "stem_channels": 4, "base_channels": 4,
                     **backbone},
        "neck": {"type": "GlobalAveragePooling"},
        "head": {"type": "LinearClsHead", "num_classes": 3, "in_channels": 32,
                 "loss": {"type": "CrossEntropyLoss"}},
    }  # fmt: skip


def mae(**backbone: Any) -> dict[str, Any]:
    return {
        "type": "MAE",
        "backbone": {"type": "MAEViT", "arch": ARCH, "img_size": 32, "patch_size": 8, **backbone},
        "neck": {"type": "MAEPretrainDecoder", "num_patches": 16, "patch_size": 8, "embed_dim": 24,
                 "decoder_embed_dim": 16, "decoder_depth": 1, "decoder_num_heads": 2},
        "head": {"type": "MAEPretrainHead", "patch_size": 8,
                 "loss": {"type": "PixelReconstructionLoss", "criterion": "L1"}},
    }  # fmt: skip


def beit(**backbone: Any) -> dict[str, Any]:
    return {
        "type": "BEiT",
        "backbone": {"type": "BEiTPretrainViT", "arch": ARCH, "img_size": 32, "patch_size": 8,
                     **backbone},
        "head": {"type": "BEiTV2Head", "embed_dims": 24, "num_embed": 8},
        "neck": {"type": "BEiTV2Neck", "num_layers": 1, "embed_dims": 24, "num_heads": 3},
        "target_generator": {
            "type": "VQKD", "num_embed": 8, "embed_dims": 4,
            "encoder_config": {"arch": ARCH, "img_size": 32, "patch_size": 8,
                               "out_type": "featmap", "use_abs_pos_emb": True,
                               "use_rel_pos_bias": False, "layer_scale_init_value": 0.0},
        },
    }  # fmt: skip


def retriever(**backbone: Any) -> dict[str, Any]:
    cfg = classifier(**backbone)
    return {
        "type": "ImageToImageRetriever",
        "image_encoder": [cfg["backbone"], cfg["neck"]],
        "head": cfg["head"],
        "topk": 2,
    }


def two_layers(cfg: dict[str, Any]) -> dict[str, Any]:
    """BEiT v2 looks at an early and at the last layer."""
    cfg["backbone"] |= {"arch": {**ARCH, "num_layers": 2}, "out_indices": [0, 1]}
    return cfg


CASES: dict[str, dict[str, Any]] = {
    "classifier": classifier(),
    "spiking classifier": {**classifier(neuron=LIF, residual="sew"), "encoder": ENCODER},
    "ms classifier": {**classifier(neuron="IF", residual="ms"), "encoder": ENCODER},
    "mobile classifier": {
        **classifier(), "backbone": {"type": "MobileNetV2", "widen_factor": 0.125, "neuron": LIF},
        "head": {**classifier()["head"], "in_channels": 1280}, "encoder": ENCODER,
    },
    "mae": mae(),
    "spiking mae": {**mae(neuron=LIF), "encoder": ENCODER},
    "beit": two_layers(beit()),
    "spiking beit": {**two_layers(beit(neuron=LIF)), "encoder": ENCODER},
    "retriever": retriever(),
    "spiking retriever": {**retriever(neuron=LIF), "encoder": ENCODER},
}  # fmt: skip
each_case = pytest.mark.parametrize("name", CASES)


def made(name: str) -> Any:
    torch.manual_seed(0)
    model = build(CASES[name])
    if CASES[name]["type"] == "ImageToImageRetriever":
        model.set_prototype(torch.rand(5, 32))
    return model


def batch_for(model: Any) -> dict[str, Any]:
    if type(model).__name__ == "BEiT":
        return {"inputs": [IMAGES, IMAGES], "mask": MASK}
    return {"inputs": IMAGES, "label": LABELS}


def output(model: Any) -> torch.Tensor:
    out = model.eval()(IMAGES)
    functional.reset_net(model)
    return out[-1] if isinstance(out, tuple) else out


@each_case
def test_a_config_stays_as_it_is_and_builds_the_same_model_twice(name: str) -> None:
    before = copy.deepcopy(CASES[name])
    first, second = made(name), made(name)
    assert CASES[name] == before
    assert {k: v.shape for k, v in first.state_dict().items()} == {
        k: v.shape for k, v in second.state_dict().items()
    }
    assert torch.equal(output(first), output(second))


@each_case
def test_a_model_can_be_built_again_from_its_config(name: str, tmp_path: Path) -> None:
    model = made(name)
    dump_config({"model": model.config}, tmp_path / "model.yaml")
    again = build(load_config(tmp_path / "model.yaml"))
    assert json.loads(json.dumps(again.config)) == json.loads(json.dumps(model.config))
    again.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(output(again), output(model))


@each_case
def test_two_steps_of_training(name: str) -> None:
    model = made(name)
    assert model.train() is model
    before = {key: value.clone() for key, value in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        total, log = model.train_step(batch_for(model))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        assert all(bool(torch.isfinite(value).all()) for value in log.values())
    changed = {k.partition(".")[0] for k, v in model.named_parameters() if not torch.equal(
        v, before[k])}  # fmt: skip
    assert changed & {"backbone", "image_encoder"}
    assert "target_generator" not in changed
    assert model.eval() is model
    if "predict" in model.modes:
        found = model.val_step(IMAGES)
        assert found["pred_score"].shape[0] == len(IMAGES)


@each_case
def test_calls_do_not_depend_on_those_before(name: str) -> None:
    model = made(name).eval()
    with torch.no_grad():
        first = model(IMAGES)
        model(IMAGES[:1])
        again = model(IMAGES)
    for a, b in zip(*(x if isinstance(x, tuple) else (x,) for x in (first, again)), strict=True):
        assert torch.equal(a, b)


@each_case
def test_copies_of_a_model_in_training(name: str) -> None:
    model = made(name)
    total, _log = model.train_step(batch_for(model))
    total.backward()
    twin = copy.deepcopy(model)
    stored = pickle.loads(pickle.dumps(model))
    for other in (twin, stored):
        assert torch.equal(output(other), output(model))
        assert other.config == model.config


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own
def test_a_spiking_model_compiles_to_one_graph() -> None:
    torch.compiler.reset()
    model = made("spiking classifier").eval()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.no_grad():
        assert torch.equal(compiled(IMAGES), model(IMAGES))
        assert torch.equal(compiled(IMAGES), model(IMAGES))  # states are reset in it, too


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_ready_configs_have_what_a_run_needs(config: Path) -> None:
    cfg = load_config(config)
    assert cfg["input_shape"] == [3, 32, 32]
    assert set(cfg["training"]) == {"epochs", "batch_size", "optimizer"}
    assert hasattr(torch.optim, cfg["training"]["optimizer"]["type"])
    with torch.device("meta"):
        model = MODELS.build(cfg["model"])
    spiking = "spiking" in config.stem
    assert (model.encoder is not None) == spiking
    assert bool(model.spiking) == spiking


def test_the_spiking_twin_has_the_weights_of_the_classifier() -> None:
    with torch.device("meta"):
        ann, snn = (
            MODELS.build(load_config(CONFIGS / f"{name}.yaml")["model"])
            for name in ("cifar10_resnet18", "cifar10_spiking_resnet18")
        )
    assert list(ann.state_dict()) == list(snn.state_dict())
    assert sum(p.numel() for p in ann.parameters()) == 11_173_962


USER_CODE = """
import torch
from torch import nn

from sj_models.registry import MODELS


@MODELS.register_module
class Colours(nn.Module):
    spiking = False

    def __init__(self, out_channels=4):
        super().__init__()
        self.fc = nn.Linear(3, out_channels)

    def forward(self, x):
        return (self.fc(x.mean((2, 3))),)
"""
USER_CONFIG = """
model:
  type: ImageClassifier
  backbone: {type: Colours, out_channels: 6}
  head: {type: LinearClsHead, num_classes: 3, in_channels: 6}
"""
USER_RUN = """
import colours
import torch
from sj_models.build import build
from sj_models.config import load_config

model = build(load_config("colours.yaml"))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(2):
    total, log = model.train_step((torch.rand(2, 3, 8, 8), [0, 2]))
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
print(model.eval().val_step(torch.rand(2, 3, 8, 8))["pred_label"].shape)
"""


def test_one_class_and_one_file_make_a_model(tmp_path: Path) -> None:
    (tmp_path / "colours.py").write_text(USER_CODE)
    (tmp_path / "colours.yaml").write_text(USER_CONFIG)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )

    done = run("-c", USER_RUN)
    assert done.stdout == "torch.Size([2])\n", done.stderr
    shown = run("-m", "sj_models.build", "colours.yaml", "--import", "colours", "--input-shape",
                "3,8,8")  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert "Colours" in shown.stdout and "parameters" in shown.stdout


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"backbone": {"type": "ResNet_CIFER"}}, KeyError,
         "model.backbone: there is no 'ResNet_CIFER'.*did you mean 'ResNet_CIFAR'"),
        ({"head": {"type": "LinearClsHead", "num_classes": 3, "in_chanels": 4}}, TypeError,
         "model.head: LinearClsHead takes no argument 'in_chanels'; did you mean 'in_channels'"),
        ({"head": {"type": "LinearClsHead", "num_classes": 3}}, TypeError,
         "model.head: LinearClsHead needs 'in_channels'"),
        ({"encoder": {"type": "Repeat", "T": 2}}, ValueError, "network has no neurons"),
        ({"backbone": None}, TypeError, "ImageClassifier needs a backbone"),
        ({"neck": 3}, TypeError, "model.neck: a part is a module.*got 3"),
        ({"head": {**classifier()["head"], "loss": {"type": "TETLoss", "lambda_": 1}}}, TypeError,
         "model.head.loss: TETLoss takes no argument 'lambda_'"),
    ],
)  # fmt: skip
def test_mistakes_say_where_they_are(
    change: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        build({**classifier(), **change})
