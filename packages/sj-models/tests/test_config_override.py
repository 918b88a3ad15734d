"""Overrides: what they change, add and remove, and what they refuse."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sj_models.config import override
from sj_models.registry import Registry

REGISTRY = Registry("parts", builtin={"Linear": "torch.nn", "Conv2d": "torch.nn"})
CFG = {
    "model": {"type": "Linear", "in_features": 1, "deep": {"x": 1}},
    "hooks": [{"type": "Unknown", "x": 1}, 5],
    "neck": None,
    "epochs": 3,
}
NESTED = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner), max_leaves=6
).filter(lambda value: isinstance(value, dict))


def changed(*texts: str, cfg: Any = CFG) -> dict[str, Any]:
    before = copy.deepcopy(cfg)
    result = override(cfg, texts, registry=REGISTRY, source="x.yaml")
    assert cfg == before
    return result


def test_values_are_changed_from_the_first_to_the_last():
    assert changed("epochs=1", "epochs=1e-3")["epochs"] == 1e-3
    assert changed("model.deep.x=[1, no]")["model"]["deep"]["x"] == [1, "no"]
    assert changed(" epochs = a=b ")["epochs"] == "a=b"
    assert changed("model.deep={y: 1}")["model"]["deep"] == {"y": 1}


def test_list_items_are_counted_from_zero():
    assert changed("hooks.1=6")["hooks"][1] == 6
    assert changed("hooks.-1=6", "hooks.0.x=2")["hooks"] == [{"type": "Unknown", "x": 2}, 6]


def test_new_arguments_of_a_known_type_need_no_sign():
    assert changed("model.bias=false")["model"]["bias"] is False
    assert changed("hooks.0.y=7")["hooks"][0]["y"] == 7  # a type of somebody else
    cfg = {"type": nn.Linear}
    assert changed("bias=false", cfg=cfg) == {"type": nn.Linear, "bias": False}


def test_functions_that_take_anything_get_anything():
    def free(**rest: Any) -> None: ...

    assert changed("x=1", cfg={"type": free})["x"] == 1


def test_other_new_keys_need_a_plus():
    assert changed("+new.deep.x=1")["new"] == {"deep": {"x": 1}}
    assert changed("+neck.type=Conv2d", "neck.stride=2")["neck"] == {"type": "Conv2d", "stride": 2}
    assert changed("+hooks.2=7")["hooks"][2] == 7
    assert changed("+hooks.2.x=7")["hooks"][2] == {"x": 7}
    assert changed("+epochs=4")["epochs"] == 4


def test_keys_and_items_can_be_removed():
    assert set(changed("~epochs", "~model.deep")) == {"model", "hooks", "neck"}
    assert changed("~hooks.0")["hooks"] == [5]


def test_another_type_takes_the_place_of_the_mapping():
    assert changed("model.type=Conv2d")["model"] == {"type": "Conv2d"}
    assert changed("model.type=Linear")["model"] == CFG["model"]


def test_a_mapping_of_keys_and_values_works_too():
    values = {"epochs": (1, 2), "+a.b": {"_delete_": True, "c": 1}, "~neck": None}
    result = override(CFG, values, registry=REGISTRY)
    assert result["epochs"] == (1, 2) and result["a"] == {"b": {"c": 1}} and "neck" not in result


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("epoch=1", KeyError, "to add it, write +epoch=...; did you mean 'epochs'?"),
        (
            "modle.bias=1",
            KeyError,
            "modle: there is no such key; to add it, write +modle=...; did you mean",
        ),
        ("model.bais=1", KeyError, "write +model.bais=...; did you mean 'bias'?"),
        ("model.deep.type=A", KeyError, "model.deep.type: there is no such key"),
        ("~epoch", KeyError, "did you mean 'epochs'?"),
        ("~model.bias", KeyError, "there is no such key"),
        ("hooks.5.y=7", KeyError, "hooks.5: the list has the items 0 to 1"),
        ("hooks.2=7", KeyError, "hooks.2: the list has the items 0 to 1"),
        ("+hooks.3=7", KeyError, "hooks.3: the list has the items 0 to 1"),
        ("hooks.last=7", KeyError, "hooks.last: the list"),
        ("epochs.x=7", TypeError, "epochs.x: there are no keys in 3"),
        ("+epochs.x=7", TypeError, "epochs.x: there are no keys in 3"),
        ("neck.dim=7", TypeError, "neck.dim: there are no keys in None"),
        ("epochs", ValueError, "an override reads key=value, +key=value or ~key, got 'epochs'"),
        ("~epochs=1", ValueError, "an override reads"),
        ("=1", ValueError, "an override reads"),
        ("epochs=[1", ValueError, "x.yaml: epochs: line 1"),
    ],
)
def test_wrong_overrides_are_explained(text: str, kind: type, message: str):
    with pytest.raises(kind) as caught:
        changed(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("x.yaml: ")


def test_empty_lists_and_bare_texts_are_explained():
    with pytest.raises(KeyError, match="the list is empty"):
        changed("a.0=1", cfg={"a": []})
    with pytest.raises(TypeError, match="a list of texts, got 'a=1'"):
        override({}, "a=1")
    with pytest.raises(ValueError, match="got 'a=1'"):
        override({}, {"a=1": 2})


def paths(cfg: dict[str, Any], prefix: str = "") -> list[str]:
    found = [prefix + key for key in cfg]
    for key, value in cfg.items():
        found += paths(value, f"{prefix}{key}.") if isinstance(value, dict) else []
    return found


@given(NESTED, st.data())
def test_what_was_set_is_found_and_the_rest_stays(cfg: dict[str, Any], data: st.DataObject):
    known = paths(cfg)
    if not known:
        return
    path = data.draw(st.sampled_from(known))
    result = override(cfg, [f"{path}=new"])
    node: Any = result
    for key in path.split("."):
        node = node[key]
    assert node == "new"
    assert [p for p in paths(result) if not p.startswith(path)] == [
        p for p in known if not p.startswith(path)
    ]


@given(NESTED, st.lists(st.sampled_from(["x", "y"]), min_size=1, max_size=3))
def test_what_was_added_can_be_removed(cfg: dict[str, Any], keys: list[str]):
    assert override(cfg, [f"+{'.'.join(keys)}=1", f"~{keys[0]}"]) == cfg


@pytest.mark.parametrize("changes", [[3], {3: 1}])
def test_overrides_are_texts(changes: Any):
    with pytest.raises(TypeError, match="an override is text, got 3"):
        override({"a": 1}, changes)
