from __future__ import annotations

import pytest
import torch
from torch import nn

import sz_models as sz
from sz_models.networks import build_network, resolve_network


class Doubler(nn.Module):
    def __init__(self, factor: float = 2.0) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x[:, :1]


def write_arch(folder, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "net.py").write_text(text)


@pytest.fixture
def your_config():
    return sz.BaseModelConfig(
        model_name="yourmodel", model_file_name="arch.net", model_cls_name="YourNet"
    )


def test_a_local_class_comes_first():
    assert resolve_network(sz.BaseModelConfig(arch_cls_local=Doubler)) is Doubler


def test_built_in_networks_need_no_file():
    assert resolve_network(sz.BaseModelConfig()) is sz.archs.base.BaseNet


def test_a_file_below_archs_is_imported_with_its_neighbours(tmp_path, monkeypatch, your_config):
    folder = tmp_path / "archs" / "yourmodel" / "arch"
    write_arch(folder, "from .parts import YourNet\n")
    (folder / "parts.py").write_text(
        "from torch import nn\n"
        "class YourNet(nn.Module):\n"
        "    def __init__(self, inDim=41):\n"
        "        super().__init__()\n"
        "        self.inDim = inDim\n"
    )
    monkeypatch.chdir(tmp_path)
    your_config.model_params = {"inDim": 7}
    assert build_network(your_config, "local").inDim == 7


def test_two_folders_with_equal_names_do_not_mix(tmp_path, monkeypatch, your_config):
    for number in (1, 2):
        root = tmp_path / str(number)
        write_arch(root / "archs" / "yourmodel" / "arch", f"def YourNet():\n    return {number}\n")
        monkeypatch.chdir(root)
        assert build_network(your_config, "local") == number


def test_nothing_found_lists_what_was_tried(tmp_path, monkeypatch, your_config):
    monkeypatch.chdir(tmp_path)
    tried = r"arch_cls_local.*registered name.*built-in network.*archs.yourmodel.arch.net\.py"
    with pytest.raises(ValueError, match=tried):
        resolve_network(your_config)
    write_arch(tmp_path / "archs" / "yourmodel" / "arch", "")
    with pytest.raises(ValueError, match="has no class 'YourNet'"):
        resolve_network(your_config)


def test_names_cannot_leave_the_folder(your_config):
    your_config.model_name = "../elsewhere"
    with pytest.raises(ValueError, match="must be module names"):
        resolve_network(your_config)


def test_an_argument_the_network_does_not_take_is_named():
    cfg = sz.BaseModelConfig(model_params={"indim": 41})
    with pytest.raises(
        TypeError, match=r"model_params entry of base 'indim'; did you mean 'inDim'"
    ):
        build_network(cfg, "local")
    cfg = sz.BaseModelConfig(arch_cls_local=Doubler, model_params={"factor": 3.0})
    assert build_network(cfg, "v023").factor == 3.0


def test_networks_that_take_anything_get_anything():
    cfg = sz.BaseModelConfig(arch_cls_local=lambda **kwargs: kwargs, model_params={"a": 1})
    assert build_network(cfg, "local") == {"a": 1}
