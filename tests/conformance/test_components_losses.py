"""Recorded losses: reductions, losses of classifiers, pixels and vectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sj_models.losses import (
    CosineSimilarityLoss,
    CrossEntropyLoss,
    FocalLoss,
    LabelSmoothLoss,
    PixelReconstructionLoss,
    l1_loss,
    weighted_loss,
)

FILES = json.loads((Path(__file__).parent / "data/components/manifest.json").read_text())["files"]


def cases(file: str, *starts: str) -> list[str]:
    names = [row["case"] for row in FILES[file]["cases"]]
    return [name for name in names if name.startswith(starts or "")]


@weighted_loss
def l2_loss(pred, target):
    return (pred - target) ** 2


def test_all_cases_are_covered():
    assert len(cases("weighted_loss.npz")) == 54
    assert len(cases("cls_losses.npz", "ce_", "ls_", "focal_", "cos_")) == 75
    assert len(cases("cls_losses.npz")) == 75


@pytest.mark.parametrize("case", cases("weighted_loss.npz"))
def test_reductions(case, component_golden):
    golden = component_golden("weighted_loss.npz", case)
    function = l1_loss if case.startswith("l1") else l2_loss
    if "error" in golden.row:
        error = golden.row["error"]
        assert error["type"] == "ValueError"
        with pytest.raises(ValueError) as raised:
            function(**golden.given, **golden.row["params"])
        assert error["message_contains"] in str(raised.value)
        return
    golden.check("loss", function(**golden.given, **golden.row["params"]))


@pytest.mark.parametrize("case", cases("cls_losses.npz", "ce_"))
def test_cross_entropy(case, component_golden):
    golden = component_golden("cls_losses.npz", case)
    params = dict(golden.row["params"])
    avg_factor = params.pop("avg_factor", None)
    loss = CrossEntropyLoss(**params)
    pred, label = golden.given["cls_score"], golden.given["label"]
    weight = golden.given.get("weight")
    golden.check("loss", loss(pred, label, weight=weight, avg_factor=avg_factor))


@pytest.mark.parametrize("case", cases("cls_losses.npz", "ls_"))
def test_label_smoothing(case, component_golden):
    golden = component_golden("cls_losses.npz", case)
    params = dict(golden.row["params"])
    avg_factor = params.pop("avg_factor", None)
    loss = LabelSmoothLoss(**params)
    pred, label = golden.given["cls_score"], golden.given["label"]
    golden.check("smoothed", loss.smooth(label, pred))
    golden.check("loss", loss(pred, label, avg_factor=avg_factor))


@pytest.mark.parametrize("case", cases("cls_losses.npz", "focal_"))
def test_focal(case, component_golden):
    golden = component_golden("cls_losses.npz", case)
    golden.check("loss", FocalLoss(**golden.row["params"])(**golden.given))


@pytest.mark.parametrize("case", cases("cls_losses.npz", "cos_"))
def test_cosine_similarity(case, component_golden):
    golden = component_golden("cls_losses.npz", case)
    loss = CosineSimilarityLoss(**golden.row["params"])
    pred, target = golden.given["pred"], golden.given["target"]
    golden.check("loss", loss(pred, target))
    golden.check("loss_masked", loss(pred, target, golden.given["mask"]))


@pytest.mark.parametrize("case", cases("mae_patches.npz", "pixrec_"))
def test_pixel_reconstruction(case, component_golden):
    golden = component_golden("mae_patches.npz", case)
    loss = PixelReconstructionLoss(**golden.row["params"])
    for rank in ("3", "4"):
        pred, target, mask = (golden.given[name + rank] for name in ("pred", "target", "mask"))
        golden.check(f"loss{rank}", loss(pred, target))
        golden.check(f"loss{rank}_masked", loss(pred, target, mask))
