"""Recorded values with a time axis: pooling, decoding, losses per step, patches, retrieval."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from sj_models.heads import ClsHead, MAEPretrainHead, decode_time
from sj_models.losses import CrossEntropyLoss, LabelSmoothLoss, PixelReconstructionLoss, TETLoss
from sj_models.necks import GeneralizedMeanPooling, GlobalAveragePooling
from sj_models.tasks.retriever import cosine_similarity

FILES = json.loads((Path(__file__).parent / "data/components/manifest.json").read_text())["files"]
CASES = [row["case"] for row in FILES["spiking.npz"]["cases"]]
TET = [case for case in CASES if case.startswith("tet_") and case[4].isdigit()]


@pytest.fixture
def golden(component_golden, request):
    return component_golden("spiking.npz", request.param)


def of(*names):
    return pytest.mark.parametrize("golden", names, indirect=True)


def test_all_cases_are_covered():
    others = {
        "gap_keep_time", "gem_keep_time", "decode", "loss_decoded_mean", "tet_labelsmooth",
        "tet_step_weights", "patchify_time", "mae_loss_shared_mask", "retrieval_rate",
    }  # fmt: skip
    assert others | set(TET) == set(CASES)


@of("gap_keep_time")
def test_average_pooling_keeps_time(golden):
    y0, y1 = GlobalAveragePooling()((golden.given["x0"], golden.given["x1"]))
    golden.check("y0", y0)
    golden.check("y1", y1)


@of("gem_keep_time")
def test_generalised_mean_pooling_keeps_time(golden):
    pool = GeneralizedMeanPooling(**golden.row["params"])
    golden.check("y", pool(golden.given["x"]))


@of("decode")
def test_decoding(golden):
    for how in golden.expected:
        golden.check(how, decode_time(golden.given["o"], how))


@of("loss_decoded_mean")
def test_loss_of_the_decoded_scores(golden):
    o, label = golden.given["o"], golden.given["label"]
    golden.check("loss", ClsHead().loss((o,), {"label": label})["loss"])
    per_sample = CrossEntropyLoss(reduction="none")(decode_time(o), label)
    golden.check("per_sample", per_sample)


@of(*TET)
def test_loss_of_every_step(golden):
    o, label = golden.given["o"], golden.given["label"]
    golden.check("loss", TETLoss(**golden.row["params"])(o, label))
    golden.check("ce_per_step", torch.stack([CrossEntropyLoss()(step, label) for step in o]))
    head = ClsHead(loss=TETLoss(**golden.row["params"]))
    golden.check("loss", head.loss((o,), {"label": label})["loss"])


@of("tet_labelsmooth")
def test_another_loss_of_every_step(golden):
    base = LabelSmoothLoss(golden.row["params"]["eps"])
    golden.check("loss", TETLoss(base, lamb=0.0)(golden.given["o"], golden.given["label"]))


@of("tet_step_weights")
def test_weights_of_steps(golden):
    loss = TETLoss(lamb=0.0, step_weights=golden.given["w"])
    golden.check("loss", loss(golden.given["o"], golden.given["label"]))


@of("patchify_time")
def test_patches_per_step(golden):
    head = MAEPretrainHead(PixelReconstructionLoss("L2"), in_channels=2, **golden.row["params"])
    golden.check("patches", head.patchify(golden.given["imgs"]))


@of("mae_loss_shared_mask")
def test_one_mask_for_all_steps(golden):
    head = MAEPretrainHead(PixelReconstructionLoss("L2"), in_channels=2, **golden.row["params"])
    pred, imgs, mask = (golden.given[name] for name in ("pred", "imgs", "mask"))
    per_step = head.loss(pred.flatten(0, 1), imgs.flatten(0, 1), mask.repeat(len(pred), 1))
    golden.check("loss_per_step_target", per_step)
    golden.check("loss_mean_pred_vs_mean_target", head.loss(pred.mean(0), imgs.mean(0), mask))


@of("retrieval_rate")
def test_retrieval_by_firing_rates(golden):
    query, prototypes = golden.given["query"].mean(0), golden.given["proto"].mean(0)
    golden.check("score", cosine_similarity(query, prototypes))
    golden.check("score", F.normalize(query, dim=-1) @ F.normalize(prototypes, dim=-1).T)
