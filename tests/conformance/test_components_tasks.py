"""Whole models of components against recorded peers: classifier, masked autoencoder, retrieval."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from sj_models.build import build
from sj_models.registry import MODELS
from sj_models.tasks import ImageToImageRetriever

TINY = {"embed_dims": 24, "num_layers": 2, "num_heads": 3, "feedforward_channels": 36}


@pytest.mark.parametrize("name", ["mae_deit_tiny_full", "image_classifier_resnet_cifar18"])
def test_keys_shapes_and_trainable_parameters(name, shared):
    text = (shared / "conformance" / "components" / "model_keys.json").read_text()
    golden = json.loads(text)[name]
    with torch.device("meta"):
        model = MODELS.build(golden["config"])
    state = model.state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == golden["state_dict"]
    parameters = dict(model.named_parameters())
    assert sum(p.numel() for p in parameters.values()) == golden["num_parameters"]
    frozen = {key for key, p in parameters.items() if not p.requires_grad}
    assert frozen == set(golden["frozen"])


def test_classifier_of_the_notes(component_golden):
    golden = component_golden("models.npz", "ImageClassifier_seedcfg")
    model = build({"type": "ImageClassifier", **golden.row["params"]})
    model.load_state_dict(golden.state, strict=True)
    model.eval()
    x, batch = golden.given["x"], {"label": golden.given["labels"]}
    for stage in ("backbone", "neck"):
        golden.check(stage, model.extract_feat(x, stage=stage)[-1])
    golden.check("pre_logits", model.extract_feat(x, stage="pre_logits"))
    golden.check("tensor", model(x))
    golden.check("loss", model(x, batch, mode="loss")["loss"])
    for name, value in model(x, mode="predict").items():
        golden.check(name, value)


def test_masked_autoencoder(component_golden):
    golden = component_golden("models.npz", "mae_tiny")
    params = golden.row["params"]
    decoder = params["decoder"]
    model = build({
        "type": "MAE",
        "backbone": {
            "type": "MAEViT", "arch": TINY, "img_size": params["img_size"],
            "patch_size": params["patch_size"], "mask_ratio": params["mask_ratio"],
        },
        "neck": {
            "type": "MAEPretrainDecoder", "num_patches": 16, "patch_size": params["patch_size"],
            "embed_dim": TINY["embed_dims"], "decoder_embed_dim": decoder["embed"],
            "decoder_depth": decoder["depth"], "decoder_num_heads": decoder["heads"],
            "mlp_ratio": decoder["mlp_ratio"],
        },
        "head": {
            "type": "MAEPretrainHead", "patch_size": params["patch_size"],
            "norm_pix": params["norm_pix"],
            "loss": {"type": "PixelReconstructionLoss", "criterion": params["loss"]},
        },
    })  # fmt: skip
    model.load_state_dict(golden.state, strict=True)
    model.eval()
    x, noise = golden.given["x"], golden.given["noise"]
    latent, mask, restore = model.backbone(x, noise=noise)
    golden.check("latent", latent)
    golden.check("mask", mask)
    golden.check("ids_restore", restore)
    pred, mask = model.reconstruct(x, noise=noise)
    golden.check("pred", pred)
    golden.check("loss", model.head.loss(pred, x, mask))
    golden.check("extract_feat", model.extract_feat(x)[0])


def test_retrieval(component_golden):
    golden = component_golden("models.npz", "retrieval_cosine")
    prototype, query = golden.given["prototype"], golden.given["query"]
    topk = golden.row["params"]["topk"]
    model = ImageToImageRetriever(nn.Identity(), prototype, topk=topk)
    found = model.predict(query)
    golden.check("pred_label", found["pred_label"])
    golden.check("pred_score", found["pred_score"])
    whole = ImageToImageRetriever(nn.Identity(), prototype).predict(query)
    golden.check("order", whole["pred_label"])
    golden.check("score", whole["pred_score"])
    golden.check("sorted_score", whole["pred_score"].gather(1, whole["pred_label"]))


def test_retrieval_by_firing_rates(component_golden):
    golden = component_golden("spiking.npz", "retrieval_rate")

    class Spikes(nn.Module):
        spiking = True

        def forward(self, x):
            return (x,)

    model = ImageToImageRetriever(Spikes(), golden.given["proto"].mean(0))
    golden.check("score", model.predict(golden.given["query"])["pred_score"])
