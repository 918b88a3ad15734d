"""Recorded outputs and gradients of the deformable convolution."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sz_models.archs.deform_conv import deform_conv2d

CASES = ["plain", "dcnv2_8og", "bsf_4og", "groups_stride_dil", "zero_offset"]
NAMES = ("x", "offset", "weight", "bias", "mask")


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients(shared: Path, case: str):
    folder = shared / "conformance" / "sz-archs"
    rows = {row["case"]: row for row in json.loads((folder / "ops.deform_conv2d.json").read_text())}
    with np.load(folder / "ops.deform_conv2d.npz") as file:
        data = {
            key.removeprefix(f"{case}/"): torch.from_numpy(file[key])
            for key in file
            if key.startswith(f"{case}/")
        }
    given = {name: data[name].requires_grad_() for name in NAMES if name in data}
    row = rows[case]
    steps = {name: row[name] for name in ("stride", "padding", "dilation")}
    out = deform_conv2d(**given, **steps)
    torch.testing.assert_close(out, data["out"], rtol=0, atol=2e-6)
    with torch.no_grad():
        torch.testing.assert_close(deform_conv2d(**given, **steps), data["out"], rtol=0, atol=2e-6)
    out.square().sum().backward()
    for name, tensor in given.items():
        expected = data[f"grad_{name}"]
        assert tensor.grad is not None
        error = (tensor.grad - expected).norm() / expected.norm()
        assert error < 1e-6, name
