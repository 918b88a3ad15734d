"""Whole models: built, initialised once, described, and shown on the command line."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sj_models.base_module import BaseModule
from sj_models.build import build, build_part, main, to_config
from sj_models.registry import MODELS

SNAPSHOT = Path(__file__).parent / "wrong_configs.txt"
CLASSIFIER = """
model:
  type: ImageClassifier
  encoder: {type: Repeat, T: 2}
  backbone:
    type: ResNet_CIFAR
    depth: 18
    stem_channels: 4
    base_channels: 4
    neuron: {type: LIF, surrogate: {type: ATan}}
  neck: {type: GlobalAveragePooling}
  head: {type: LinearClsHead, num_classes: 10, in_channels: 32}
input_shape: [3, 8, 8]
"""
ONES = {"type": "Constant", "val": 1, "layer": "Linear"}


class Leaf(BaseModule):
    def __init__(self, size: int = 1, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.fc = nn.Linear(size, size)
        self.starts = 0

    def init_own(self) -> None:
        self.starts += 1


class Tree(BaseModule):
    def __init__(self, leaf: nn.Module | dict[str, Any] | None = None, init_cfg: Any = None):
        super().__init__(init_cfg)
        self.leaf = build_part(leaf, path="leaf")
        self.early = self.leaf is not None and self.leaf.starts


class Builder(nn.Module):
    """A constructor that calls `build` itself."""

    def __init__(self, part: dict[str, Any]) -> None:
        super().__init__()
        self.part = build(part)
        self.early = self.part.starts


@pytest.fixture
def cfg() -> dict[str, Any]:
    return {"type": Tree, "leaf": {"type": Leaf, "size": 2, "init_cfg": [dict(ONES)]}}


def test_the_outermost_build_initialises_everything_once(cfg: dict[str, Any]):
    tree = build(cfg)
    assert tree.early == 0 and tree.leaf.starts == 1
    assert (tree.leaf.fc.weight == 1).all()
    tree.init_weights()
    assert tree.leaf.starts == 1
    builder = build({"type": Builder, "part": cfg["leaf"]})
    assert builder.early == 0 and builder.part.starts == 1


def test_building_twice_gives_the_same_model_and_keeps_the_config(cfg: dict[str, Any]):
    before = copy.deepcopy(cfg)
    first, second = build(cfg), build(cfg)
    assert cfg == before
    assert list(first.state_dict()) == list(second.state_dict())
    assert first.config is not second.config


def test_a_model_is_built_again_from_its_config(cfg: dict[str, Any]):
    model = build({"model": cfg, "epochs": 3})
    again = build(model.config)
    assert again.config == model.config == to_config(model)
    again.load_state_dict(model.state_dict())
    assert to_config(model.leaf)["size"] == 2
    assert to_config(copy.deepcopy(model)) == model.config


def test_a_config_of_names_can_be_stored_with_the_weights(tmp_path: Path):
    cfg = {"type": "LinearClsHead", "num_classes": 3, "in_channels": 2, "topk": (1, 2)}
    head = build(cfg)
    torch.save({"config": head.config, "weights": head.state_dict()}, tmp_path / "head.pth")
    stored = torch.load(tmp_path / "head.pth", weights_only=True)
    again = build(stored["config"])
    again.load_state_dict(stored["weights"])
    assert stored["config"] == cfg
    torch.testing.assert_close(again.fc.weight, head.fc.weight)


def test_other_things_than_modules_can_be_built():
    assert build({"type": lambda: 3}) == 3


def test_a_part_is_a_module_a_config_or_none(cfg: dict[str, Any]):
    leaf = Leaf()
    assert build_part(leaf, path="x") is leaf
    assert build_part(None, path="x") is None
    assert isinstance(build_part(cfg["leaf"], path="x"), Leaf)
    assert isinstance(Tree(cfg["leaf"]).leaf, Leaf)
    with pytest.raises(TypeError, match=r"^model\.leaf: a part is a module or a mapping .*got 3"):
        build({"type": Tree, "leaf": 3})


def test_errors_name_the_path(cfg: dict[str, Any]):
    with pytest.raises(KeyError, match=r"^model\.leaf: there is no 'Lief'"):
        build(cfg | {"leaf": {"type": "Lief"}})
    with pytest.raises(ValueError, match=r"^leaf\.init_cfg: Normal names no layer"):
        build(cfg | {"leaf": {"type": Leaf, "init_cfg": {"type": "Normal"}}})
    with pytest.raises(TypeError, match="Linear was not built from a config"):
        to_config(nn.Linear(1, 1))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text(CLASSIFIER)
    return "x.yaml"


def test_the_command_prints_the_model_and_its_costs(file: str):
    command = [sys.executable, "-m", "sj_models.build", file, "--set", "model.backbone.depth=34"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0 and run.stderr == ""
    assert run.stdout.startswith("ImageClassifier(")
    rows = {line.split()[0]: line.split() for line in run.stdout.splitlines()[-7:]}
    assert set(rows) >= {"encoder", "backbone", "neck", "head", "total"}
    _, kind, parameters, neurons, macs = rows["head"]
    assert (kind, parameters, neurons, macs) == ("LinearClsHead", "330", "0", "640")
    assert int(rows["total"][4].replace(",", "")) > int(rows["backbone"][4].replace(",", "")) > 0


def test_the_input_shape_can_be_given(file: str, capsys: pytest.CaptureFixture[str]):
    arguments = [file, "--set", "~model.encoder", "~input_shape"]
    assert main([*arguments, "--input-shape", "3,16,16"]) == 0  # neurons, no encoder: T=1 is added
    one = capsys.readouterr().out.split()[-1]
    assert main([*arguments, "--input-shape", "2,3,16,16"]) == 0
    two = capsys.readouterr().out.split()[-1]
    assert int(two.replace(",", "")) == 2 * int(one.replace(",", ""))


def test_components_of_a_module_of_ones_own(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    module = f"mine_{tmp_path.name}"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(MODELS, "module_dict", dict(MODELS.module_dict))
    Path(f"{module}.py").write_text(
        "from sj_models.registry import MODELS\nfrom torch import nn\n"
        "@MODELS.register_module\nclass MyNeck(nn.Module):\n"
        "    def forward(self, features):\n        return tuple(f.mean((3, 4)) for f in features)\n"
    )
    assert main([file, "--import", module, "--set", "model.neck={type: MyNeck}"]) == 0
    assert "MyNeck" in capsys.readouterr().out


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]):
    assert main(["--schema"]) == 0
    assert "ImageClassifier" in json.loads(capsys.readouterr().out)["$defs"]


WRONG = {
    "a misspelt type": ["model.backbone={type: ResNet_CIFR, depth: 18}"],
    "a misspelt argument": ["+model.backbone.dpeth=18"],
    "a missing argument": ["~model.head.num_classes"],
    "no type": ["model.neck={dim: 2}"],
    "a dotted path": ["model.neck={type: torch.nn.Flatten}"],
    "a part that is a number": ["model.neck=2"],
    "a value that the component refuses": ["model.backbone.depth=19"],
    "an unknown neuron": ["model.backbone.neuron.type=LEF"],
    "an unknown argument of a neuron": ["+model.backbone.neuron.taus=3"],
    "an unknown surrogate": ["model.backbone.neuron.surrogate.type=ATann"],
    "an unknown key": ["model.bakbone.depth=34"],
    "an unknown argument in an override": ["model.head.num_class=34"],
    "a path through a number": ["model.backbone.depth.x=1"],
    "a text that is no override": ["depth"],
    "an input that does not fit": ["input_shape=[5, 8, 8]"],
    "an input shape that is none": ["input_shape=32"],
}


def message(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1
    return error


def test_wrong_configs_have_good_messages(file: str, capsys: pytest.CaptureFixture[str]):
    """What a user reads. After a change of wording: UPDATE_SNAPSHOTS=1, and read the new file."""
    found = [f"{name}\n  {message(capsys, file, '--set', *sets)}" for name, sets in WRONG.items()]
    for name, text in {
        "a file that is not there": "_base_: nowhere.yaml",
        "a cycle": "_base_: y.yaml",
        "a mapping over a number": "_base_: x.yaml\ninput_shape: {height: 8}",
        "the same key twice": "model:\n  type: A\n  type: B",
        "bases with the same key": "_base_: [x.yaml, ./x.yaml]",
    }.items():
        Path("y.yaml").write_text(text)
        found.append(f"{name}\n  {message(capsys, 'y.yaml')}")
    Path("z.py").write_text("model = 1")
    found.append(f"a config that is code\n  {message(capsys, 'z.py')}")
    found.append(f"no config\n  {message(capsys)}")
    text = "\n".join(found)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text()
