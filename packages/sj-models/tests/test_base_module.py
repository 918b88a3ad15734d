"""The order in which a whole model is initialised, and that it happens once."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sj_models.base_module import BaseModule

ONES = {"type": "Constant", "val": 1, "layer": "Linear"}
TWOS = {"type": "Constant", "val": 2, "layer": "Linear"}


class Leaf(BaseModule):
    def __init__(self, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.fc = nn.Linear(2, 2)


class Tree(BaseModule):
    def __init__(self, *leaves: Leaf, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.leaves = nn.Sequential(*leaves)
        self.fc = nn.Linear(2, 2)


class Own(Leaf):
    def init_own(self) -> None:
        nn.init.constant_(self.fc.bias, 9)


class Overriding(Leaf):
    calls = 0

    def init_weights(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().init_weights()
        self.calls += 1


class Twice(Overriding):
    def init_weights(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().init_weights()
        self.calls += 10


def test_rules_of_children_win_over_those_of_the_parent():
    tree = Tree(Leaf(TWOS), Leaf(), init_cfg=ONES)
    report = tree.init_weights()
    assert [float(p.detach().mean()) for p in tree.parameters() if p.dim() == 2] == [2, 1, 1]
    assert report["leaves.0.fc.weight"] == "Constant(val=2)"
    assert report["leaves.1.fc.weight"] == "Constant(val=1)"


def test_pretrained_weights_win_over_everything(tmp_path: Path):
    path = tmp_path / "leaf.pth"
    torch.save({"fc.bias": torch.tensor([3.0, 4.0])}, path)
    leaf = Own([{"type": "Pretrained", "checkpoint": str(path)}, ONES])
    report = leaf.init_weights()
    assert leaf.fc.bias.tolist() == [3, 4]
    assert report == {"fc.weight": "Constant(val=1)", "fc.bias": f"Pretrained({path})"}


def test_a_second_call_changes_nothing():
    leaf = Own(ONES)
    report = leaf.init_weights()
    nn.init.constant_(leaf.fc.weight, 5)
    nn.init.constant_(leaf.fc.bias, 5)
    assert leaf.init_weights() == report
    assert (leaf.fc.weight == 5).all() and (leaf.fc.bias == 5).all()


def test_overriding_init_weights_is_done_once_too():
    for leaf, calls in ((Overriding(ONES), 1), (Twice(), 11)):
        assert leaf.init_weights() == leaf.init_weights()
        assert leaf.calls == calls
    assert list(Overriding(ONES).init_weights()) == ["fc.weight", "fc.bias"]  # pyright: ignore[reportArgumentType]


def test_an_override_need_not_call_the_base():
    class Alone(Leaf):
        def init_weights(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            nn.init.constant_(self.fc.weight, 6)

    alone = Alone()
    assert alone.init_weights() == {}
    assert (alone.fc.weight == 6).all()


def test_the_rules_are_copied_and_survive_copies():
    rule = dict(ONES)
    leaf = Leaf(rule)
    rule["val"] = 8
    assert leaf.init_cfg["val"] == 1
    leaf.init_weights()
    for twin in (copy.deepcopy(leaf), pickle.loads(pickle.dumps(leaf))):
        assert twin.init_weights() == leaf.init_weights()


def test_an_error_names_the_path_of_the_module():
    tree = Tree(Leaf(), Leaf(ONES | {"layer": "Conv2d"}))
    with pytest.raises(ValueError, match=r"^leaves\.1\.init_cfg: Constant: no layer"):
        tree.init_weights()


def test_loaded_weights_are_not_drawn_again():
    leaf, fresh = Leaf(ONES), Leaf(ONES)
    leaf.load_state_dict({"fc.weight": torch.full((2, 2), 7.0), "fc.bias": torch.zeros(2)})
    fresh.load_state_dict({"fc.weight": torch.full((2, 2), 7.0)}, strict=False)  # a part only
    tree = Tree(leaf, fresh)
    tree.init_weights()
    assert leaf.fc.weight.eq(7).all()
    assert fresh.fc.weight.eq(1).all()
