"""Recorded targets: histograms of gradients, and a vector quantiser over two calls.

| row with a note                  | recorded                     | ours                           |
| -------------------------------- | ---------------------------- | ------------------------------ |
| hog_*: up to 0.1 % outliers      | a bin edge per device        | equal, no outlier on the CPU   |
| vq_train                         | as ours                      | equal                          |
| vq_eval: all but cluster_size    | as ours                      | equal                          |
| vq_eval: cluster_size            | follows the data             | unchanged: evaluation is pure  |
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sj_models.build import build
from sj_models.targets import HOGGenerator, NormEMAVectorQuantizer

FILES = json.loads((Path(__file__).parent / "data/components/manifest.json").read_text())["files"]
HOG = [row["case"] for row in FILES["hog.npz"]["cases"]]


@pytest.mark.parametrize("case", HOG)
def test_histograms_of_gradients(case, component_golden):
    golden = component_golden("hog.npz", case)
    sizes = {name: golden.row["params"][name] for name in ("nbins", "pool", "gaussian_window")}
    hog = HOGGenerator(**sizes)
    image = golden.given["image_u8"]
    image = image.reshape(-1, *image.shape[-3:]).float() / 256
    golden.check("hog", hog(image))
    if "cells" in golden.expected:
        golden.check("cells", hog.cells(image))


def test_keys_of_the_histogram(shared: Path):
    rows = json.loads((shared / "conformance/components/model_keys.json").read_text())
    shapes = {key: list(value.shape) for key, value in HOGGenerator().state_dict().items()}
    assert shapes == rows["hog_generator"]["state_dict"]


@pytest.mark.parametrize("case", ["vq_train", "vq_eval"])
def test_vector_quantiser(case, component_golden):
    golden = component_golden("vq.npz", case)
    quantise = NormEMAVectorQuantizer(**golden.row["params"], quantize_kmeans_init=False)
    quantise.train(case == "vq_train")
    quantise.embedding.weight.copy_(golden.given["codebook"])
    for call in ("1", "2"):
        z_q, loss, indices = quantise(golden.given[f"z{call}"])
        golden.check(f"zq{call}", z_q)
        golden.check(f"loss{call}", loss)
        golden.check(f"idx{call}", indices)
        golden.check(f"codebook_after{call}", quantise.embedding.weight)
        if case == "vq_train":
            golden.check(f"cluster_size_after{call}", quantise.cluster_size)
        else:
            assert golden.expected[f"cluster_size_after{call}"].sum() > 0
            torch.testing.assert_close(quantise.cluster_size, torch.zeros(7), rtol=0, atol=0)


def test_keys_of_the_tokenizer(shared: Path):
    rows = json.loads((shared / "conformance/components/model_keys.json").read_text())
    row = rows["vqkd_tiny"]
    tokenizer = build(row["config"])
    shapes = {key: list(value.shape) for key, value in tokenizer.state_dict().items()}
    assert shapes == row["state_dict"]
    frozen = [name for name, p in tokenizer.named_parameters() if not p.requires_grad]
    assert frozen == row["frozen"]
