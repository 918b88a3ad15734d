from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

import sz_models as sz
from sz_models import registry


@pytest.fixture(autouse=True)
def restored_tables(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    before = list(registry.METHODS)
    yield
    registry.METHODS[:] = before


@dataclass
class MeanConfig(sz.BaseModelConfig):
    model_name: str = "mean"
    require_params: bool = False
    model_length: int = 5


class MeanModel(sz.BaseModel):
    pass


class MeanNet(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float().mean(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("base", sz.BaseModel),
        ("tfp", sz.TFPModel),
        ("TFI", sz.TFI),
        (sz.METHOD.GTFP, sz.GTFP),
    ],
)
def test_built_in_names(name, cls):
    model = sz.build_model_name(name)
    assert type(model) is cls
    assert model.cfg.model_name == name.lower()
    assert name.lower() in sz.METHODS


def test_a_registered_method_is_built_and_reconstructs():
    sz.register("mean", MeanModel, MeanConfig, MeanNet)
    assert "mean" in sz.METHODS
    assert type(sz.build_model_cfg(MeanConfig())) is MeanModel
    spikes = torch.zeros(9, 4, 8)
    spikes[2:7] = 1
    assert sz.reconstruct(spikes, method="Mean").min() == 1


def test_the_registered_name_wins_over_the_one_in_the_configuration():
    sz.register("average", MeanModel, MeanConfig, MeanNet)
    model = sz.build_model_name("average").build_network()
    assert model.cfg.model_name == "average"
    assert isinstance(model.net, MeanNet)


def test_registering_again_replaces():
    sz.register("mean", sz.BaseModel, MeanConfig, MeanNet)
    sz.register("mean", MeanModel, MeanConfig, MeanNet)
    assert type(sz.build_model_name("mean")) is MeanModel
    assert sz.METHODS.count("mean") == 1


def test_built_in_names_are_shadowed_only_on_purpose():
    with pytest.raises(ValueError, match=r"'tfp' is a built-in method.*replace=True"):
        sz.register("tfp", MeanModel, MeanConfig, MeanNet)
    sz.register("tfp", MeanModel, MeanConfig, MeanNet, replace=True)
    assert type(sz.build_model_name("tfp")) is MeanModel


def test_a_local_wrapper_class_needs_no_name():
    cfg = MeanConfig(model_name="anything", model_cls_local=MeanModel)
    assert type(sz.build_model_cfg(cfg)) is MeanModel


def test_unknown_names_come_with_a_suggestion():
    with pytest.raises(ValueError, match=r"unknown method 'gtpf'; did you mean 'gtfp'"):
        sz.build_model_name("gtpf")
    with pytest.raises(ValueError, match="unknown method 'other'"):
        sz.build_model_cfg(sz.BaseModelConfig(model_name="other"))


def test_only_classes_are_registered():
    with pytest.raises(TypeError, match="config must be a class"):
        sz.register("mean", MeanModel, MeanConfig(), MeanNet)  # pyright: ignore
