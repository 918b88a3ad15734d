"""Inheritance: the merge table, and what merging must never do."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sj_models.config.merge import join_bases, merge, resolve_references, without_marks

KEYS = st.sampled_from("abc")
NUMBERS = st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2)


def configs(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.dictionaries(KEYS, values, max_size=3),
        lambda inner: st.dictionaries(KEYS, values | inner, max_size=3),
        max_leaves=6,
    )


CONFIGS = configs(NUMBERS | st.none())


@pytest.mark.parametrize(
    ("base", "child", "merged"),
    [
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": {"x": 1}}, {"a": 2}, {"a": 2}),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": None}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({}, {"a": {"_delete_": True, "x": 1}}, {"a": {"x": 1}}),
        ({"a": {"x": 1}}, {"a": {"_delete_": True}}, {"a": {}}),
        ({"a": 1}, {"a": {"_delete_": True, "x": 1}}, {"a": {"x": 1}}),
        ({"a": {"x": 1}}, {"a": {"_delete_": False, "y": 1}}, {"a": {"x": 1, "y": 1}}),
        ({"a": {"type": "A", "x": 1}}, {"a": {"type": "B"}}, {"a": {"type": "B"}}),
        ({"a": {"type": "A", "x": 1}}, {"a": {"type": "A"}}, {"a": {"type": "A", "x": 1}}),
        ({"a": {"x": 1}}, {"a": {"type": "B"}}, {"a": {"x": 1, "type": "B"}}),
        (
            {"a": {"type": "A", "x": 1}},
            {"a": {"type": "B", "_merge_": True}},
            {"a": {"type": "B", "x": 1}},
        ),
        ({}, {"a": [{"_delete_": True, "x": ({"_merge_": True},)}]}, {"a": [{"x": ({},)}]}),
    ],
)
def test_the_table_of_inheritance(base: Any, child: Any, merged: Any):
    assert merge(base, child) == merged


@pytest.mark.parametrize("below", [1, "text", [1], False])
def test_a_mapping_over_something_else_must_say_so(below: Any):
    with pytest.raises(TypeError, match=r"^x\.yaml: a\.b: a mapping cannot go over .*_delete_: tr"):
        merge({"a": {"b": below}}, {"a": {"b": {"c": 1}}}, source="x.yaml")


@pytest.mark.parametrize("mark", ["_delete_", "_merge_"])
def test_marks_are_true_or_false(mark: str):
    with pytest.raises(ValueError, match=rf"^x\.yaml: a\.0: {mark} is true or false, got 'yes'"):
        without_marks({"a": [{mark: "yes"}]}, source="x.yaml")


def test_bases_have_no_key_in_common():
    assert join_bases({"p": {"a": 1}, "q": {"b": 2}}, source="x") == {"a": 1, "b": 2}
    with pytest.raises(KeyError, match="x: a: stands in two bases, p and q"):
        join_bases({"p": {"a": 1}, "q": {"a": 1}}, source="x")


def test_references_take_values_of_the_bases():
    base = {"a": {"n": 3, "deep": {"x": [1]}}}
    cfg = {
        "n": "{{ _base_.a.n }}", "text": "size {{_base_.a.n}}!",
        "list": ["{{_base_.a.deep}}", ("{{_base_.a.n}}", 1)], "other": "{{fileDirname}}",
    }  # fmt: skip
    found = resolve_references(cfg, base, path="", source="x")
    assert found == {
        "n": 3, "text": "size 3!", "list": [{"x": [1]}, (3, 1)], "other": "{{fileDirname}}"
    }  # fmt: skip
    assert found["list"][0] is not base["a"]["deep"]
    for wrong in ("{{_base_.a.m}}", "{{_base_.a.n.k}}", "{{_base_.b}}"):
        with pytest.raises(KeyError, match=r"^x: k\.0: the bases have no"):
            resolve_references({"k": [wrong]}, base, path="", source="x")


@given(CONFIGS, CONFIGS)
def test_merging_changes_neither_side(base: Any, child: Any):
    before = copy.deepcopy((base, child))
    try:
        merged = merge(base, child)
    except TypeError:
        return
    finally:
        assert (base, child) == before
    assert set(merged) == {*base, *child}
    assert merge(merged, child) == merged
    for value in merged.values():
        assert not isinstance(value, (dict, list)) or all(
            value is not side for side in (*base.values(), *child.values())
        )


@given(CONFIGS)
def test_nothing_over_something_and_the_reverse_are_the_same(cfg: Any):
    assert merge(cfg, {}) == merge({}, cfg) == merge(cfg, cfg) == without_marks(cfg) == cfg


@given(*3 * [configs(NUMBERS)])
def test_a_chain_is_merged_from_either_end(a: Any, b: Any, c: Any):
    try:
        from_the_left, from_the_right = merge(merge(a, b), c), merge(a, merge(b, c))
    except TypeError:
        return
    assert from_the_left == from_the_right
