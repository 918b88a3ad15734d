"""Recorded scores, losses and predictions of heads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sj_models import heads
from sj_models.losses import CrossEntropyLoss, PixelReconstructionLoss

FILES = json.loads((Path(__file__).parent / "data/components/manifest.json").read_text())["files"]


def cases(file: str, *starts: str) -> list[str]:
    names = [row["case"] for row in FILES[file]["cases"]]
    return [name for name in names if name.startswith(starts)]


CLASSIFIERS = cases("heads.npz", "ClsHead", "LinearClsHead", "VisionTransformerClsHead")
CONTRASTIVE = cases("heads.npz", "ContrastiveHead")
PATCHES = cases("mae_patches.npz", "patch_")


def test_all_cases_are_covered():
    masked = {"BEiTV1Head", "BEiTV2Head", "MIMHead"}
    assert {*CLASSIFIERS, *CONTRASTIVE, *masked} == set(cases("heads.npz", ""))


@pytest.mark.parametrize("case", CLASSIFIERS)
def test_classifiers(case, component_golden):
    golden = component_golden("heads.npz", case)
    head = getattr(heads, golden.row["op"])(**golden.row["params"])
    head.load_state_dict(golden.state)
    feats = tuple(value for name, value in golden.given.items() if name.startswith("feat"))
    if "labels" in golden.given:
        batch = {"label": golden.given["labels"]}
    else:
        batch = {"score": golden.given["gt_score"]}
    found = {"pre_logits": head.pre_logits(feats), "cls_score": head(feats)}
    found |= head.loss(feats, batch) | head.predict(feats, batch)
    for name in golden.expected:
        golden.check(name, found[name])


@pytest.mark.parametrize("case", CONTRASTIVE)
def test_contrastive(case, component_golden):
    golden = component_golden("heads.npz", case)
    params = dict(golden.row["params"])
    assert params.pop("loss") == "CrossEntropyLoss"
    head = heads.ContrastiveHead(loss=CrossEntropyLoss(), **params)
    golden.check("loss", head.loss(**golden.given))


@pytest.mark.parametrize("case", ["BEiTV1Head", "BEiTV2Head"])
def test_beit(case, component_golden):
    golden = component_golden("heads.npz", case)
    head = getattr(heads, case)(**golden.row["params"])
    head.load_state_dict(golden.state)
    names = {"feats_with_cls": "feats", "target_logits": "target"}
    losses = head.loss(**{names.get(name, name): x for name, x in golden.given.items()})
    losses = (losses,) if isinstance(losses, torch.Tensor) else losses
    for name, loss in zip(golden.expected, losses, strict=True):
        golden.check(name, loss)


def test_masked_image(component_golden):
    golden = component_golden("heads.npz", "MIMHead")
    golden.check("loss", heads.MIMHead(**golden.row["params"]).loss(**golden.given))


@pytest.mark.parametrize("case", PATCHES)
def test_patches(case, component_golden):
    golden = component_golden("mae_patches.npz", case)
    given = golden.given
    plain, normalised = (
        heads.MAEPretrainHead(PixelReconstructionLoss("L2"), norm, **golden.row["params"])
        for norm in (False, True)
    )
    golden.check("patchify", plain.patchify(given["imgs"]))
    golden.check("unpatchify", plain.unpatchify(plain.patchify(given["imgs"])))
    golden.check("target_normpix", normalised.construct_target(given["imgs"]))
    golden.check("loss_L2", plain.loss(given["pred"], given["imgs"], given["mask"]))
    golden.check("loss_L2_normpix", normalised.loss(given["pred"], given["imgs"], given["mask"]))


@pytest.mark.parametrize("name", ["vit_cls_head", "vit_cls_head_hidden"])
def test_keys(name, shared: Path):
    rows = json.loads((shared / "conformance/components/model_keys.json").read_text())
    config = dict(rows[name]["config"])
    head = getattr(heads, config.pop("type"))(**config)
    shapes = {key: list(value.shape) for key, value in head.state_dict().items()}
    assert shapes == rows[name]["state_dict"]
