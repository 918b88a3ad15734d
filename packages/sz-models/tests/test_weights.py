from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

from sz_models import BaseModelConfig
from sz_models.weights import load_weights, released_weights, weights_folder


@pytest.fixture
def net() -> nn.Module:
    return nn.Linear(2, 3)


STATE = {"weight": torch.ones(3, 2), "bias": torch.zeros(3)}


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"model_state_dict": STATE, "epoch": 3},
        {"model": STATE},
        {f"module.{key}": value for key, value in STATE.items()},
    ],
    ids=["plain", "model_state_dict", "model", "DataParallel"],
)
def test_the_usual_kinds_of_checkpoints_load(tmp_path, net, content):
    torch.save(content, tmp_path / "a.pth")
    load_weights(net, tmp_path / "a.pth")
    torch.testing.assert_close(net.weight, STATE["weight"])


def test_keys_that_do_not_fit_are_listed(tmp_path, net):
    torch.save({"weight": torch.ones(2, 2), "extra": torch.ones(1)}, tmp_path / "a.pth")
    before = net.weight.detach().clone()
    message = (
        r"a\.pth does not fit Linear; missing: bias; unexpected: extra; "
        r"wrong shape: weight \[2, 2\] \(network: \[3, 2\]\)"
    )
    with pytest.raises(ValueError, match=message):
        load_weights(net, tmp_path / "a.pth")
    torch.testing.assert_close(net.weight, before)


def test_long_lists_are_shortened(tmp_path, net):
    torch.save({**STATE, **{f"k{i}": torch.ones(1) for i in range(20)}}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="and 14 more"):
        load_weights(net, tmp_path / "a.pth")


class Touch:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_code_in_a_weight_file_is_not_run(tmp_path, net):
    marker = tmp_path / "ran"
    torch.save({"weight": Touch(str(marker))}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="not a plain state dict"):
        load_weights(net, tmp_path / "a.pth")
    assert not marker.exists()


@pytest.mark.parametrize(
    "content", [b"", b"not weights", pickle.dumps([1], protocol=2), b"PK\x03\x04broken"], ids=repr
)
def test_other_files_are_refused(tmp_path, net, content):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.pth (is not|holds no)"):
        load_weights(net, tmp_path / "a.pth")


@pytest.mark.parametrize("content", [[1, 2], {"weight": 3}], ids=repr)
def test_a_file_without_tensors_is_refused(tmp_path, net, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="holds no state dict"):
        load_weights(net, tmp_path / "a.pth")


def test_a_missing_file_is_named(tmp_path, net):
    with pytest.raises(FileNotFoundError, match=r"a\.pth: no such weight file"):
        load_weights(net, tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("name", "version", "file", "tag"),
    [
        ("base", "v023", "base.pth", "v0.2.3"),
        ("ssml", "v010", "ssml.pt", "v0.1.0"),
        ("ssml", "v023", "ssml.pth", "v0.2.3"),
    ],
)
def test_missing_releases_name_address_and_place(tmp_path, monkeypatch, name, version, file, tag):
    monkeypatch.setenv("SZ_MODELS_WEIGHTS", str(tmp_path))
    cfg = BaseModelConfig(model_name=name)
    with pytest.raises(FileNotFoundError) as caught:
        released_weights(cfg, version)
    assert f"{cfg.base_url}/{tag}/{file}" in str(caught.value)
    assert str(tmp_path / version / file) in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("platform", "variable", "parts"),
    [
        ("linux", "XDG_CACHE_HOME", ()),
        ("win32", "LOCALAPPDATA", ()),
        ("darwin", "HOME", ("Library", "Caches")),
    ],
)
def test_the_default_folder_is_the_user_cache(tmp_path, monkeypatch, platform, variable, parts):
    monkeypatch.delenv("SZ_MODELS_WEIGHTS", raising=False)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert weights_folder() == tmp_path.joinpath(*parts, "sz-models", "weights")
