"""Recorded outputs of necks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sj_models import necks

FILES = json.loads((Path(__file__).parent / "data/components/manifest.json").read_text())["files"]
CASES = [row["case"] for row in FILES["necks.npz"]["cases"]]


@pytest.mark.parametrize("case", CASES)
def test_necks(case, component_golden):
    golden = component_golden("necks.npz", case)
    params = dict(golden.row["params"])
    if case == "linear_neck":
        assert params.pop("norm") == "BN1d train mode"
    neck = getattr(necks, golden.row["op"])(**params).train()
    if golden.state:
        missing = neck.load_state_dict(golden.state, strict=False)
        assert not missing.unexpected_keys
        assert set(missing.missing_keys) == {"norm.running_mean", "norm.running_var"}
    given = tuple(golden.given.values())
    out = neck(given if len(given) > 1 else given[0])
    if case == "gem_grad_p":
        out.sum().backward()
        golden.check("dsum_dp", neck.p.grad)
        return
    outputs = out if isinstance(out, tuple) else (out,)
    for name, value in zip(golden.expected, outputs, strict=True):
        golden.check(name, value)


def test_keys_of_the_necks_with_parameters(shared: Path):
    rows = json.loads((shared / "conformance/components/model_keys.json").read_text())
    for row in (rows[name] for name in ("linear_neck", "nonlinear_neck", "gem")):
        config = dict(row["config"])
        neck = getattr(necks, config.pop("type"))(**config)
        shapes = {key: list(value.shape) for key, value in neck.state_dict().items()}
        assert shapes == row["state_dict"]
        trained = sum(p.numel() for p in neck.parameters() if p.requires_grad)
        assert trained == row["trainable_parameters"]


def test_keys_of_the_decoder(shared: Path):
    rows = json.loads((shared / "conformance/components/model_keys.json").read_text())
    row = rows["mae_deit_tiny_full"]
    config = dict(row["config"]["neck"])
    assert config.pop("type") == "MAEPretrainDecoder"
    with torch.device("meta"):
        neck = necks.MAEPretrainDecoder(**config)
    expected = {
        key.removeprefix("neck."): shape
        for key, shape in row["state_dict"].items()
        if key.startswith("neck.")
    }
    assert {key: list(value.shape) for key, value in neck.state_dict().items()} == expected
    frozen = {f"neck.{name}" for name, p in neck.named_parameters() if not p.requires_grad}
    assert frozen == {name for name in row["frozen"] if name.startswith("neck.")}
