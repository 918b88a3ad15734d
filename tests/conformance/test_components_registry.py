"""The registry against recorded behaviour: binding rows as tests, the others as a table."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from sj_models.registry import Registry


class C:
    def __init__(self, a: int = 0) -> None:
        self.a = a


class D:
    pass


def empty() -> Registry:
    return Registry("r")


def holding(name: Any = None, component: Any = C) -> Registry:
    registry = empty()
    registry.register_module(name=name, module=component)
    return registry


def refused(error: type[Exception], call: Callable[[], Any], *words: str) -> bool:
    with pytest.raises(error) as caught:
        call()
    return all(word in str(caught.value) for word in words)


def direct_call() -> bool:
    registry = empty()
    return registry.register_module(module=C, name=None) is C and registry.get("C") is C


def force_replaces() -> bool:
    registry = holding("C")
    registry.register_module("C", force=True, module=D)
    return registry.get("C") is D


def config_unchanged() -> bool:
    cfg = {"type": "C", "a": 1}
    before = copy.deepcopy(cfg)
    return holding().build(cfg).a == 1 and cfg == before


def defaults() -> bool:
    registry = holding()
    return (registry.build({}, type="C", a=2).a, registry.build({"type": "C", "a": 1}, a=2).a) == (
        2,
        1,
    )


def without_parentheses() -> bool:
    registry = empty()
    return registry.register_module(C) is C and registry.get("C") is C


BINDING: dict[str, Callable[[], bool]] = {
    "register_default_name": lambda: holding().names() == ["C"],
    "register_explicit_name": lambda: holding("x").names() == ["x"],
    "register_alias_list": lambda: (
        holding(["x1", "x2"]).names() == ["x1", "x2"] and holding(["x1", "x2"]).get("x1") is C
    ),
    "register_function": lambda: holding("f", lambda a: a + 1).build({"type": "f", "a": 1}) == 2,
    "register_duplicate": lambda: refused(
        KeyError, lambda: holding("C").register_module("C", module=D), "'r'", "C", __name__[-8:]
    ),
    "register_force": force_replaces,
    "register_force_not_bool": lambda: refused(
        TypeError, lambda: empty().register_module(module=C, force="yes")
    ),
    "register_name_bad": lambda: refused(
        TypeError, lambda: empty().register_module(module=C, name=3)
    ),
    "register_not_callable": lambda: refused(TypeError, lambda: empty().register_module(module=5)),
    "decorator_without_call": without_parentheses,
    "direct_call": direct_call,
    "build_dict": config_unchanged,
    "build_class_as_type": lambda: empty().build({"type": C, "a": 1}).a == 1,
    "build_without_type": lambda: refused(KeyError, lambda: holding().build({"a": 1})),
    "build_default_args": defaults,
    "build_not_a_dict": lambda: refused(TypeError, lambda: holding().build("C")),
    "build_unknown": lambda: refused(KeyError, lambda: holding().build({"type": "Cc"}), "mean 'C'"),
    "build_bad_kwarg": lambda: refused(
        TypeError, lambda: holding().build({"type": "C", "z": 2}), "C", "'z'", "takes a"
    ),
    "get_unknown": lambda: holding().get("Cc") is None,
    "contains": lambda: "Cc" not in holding() and "C" in holding(),
}

# scopes, parents, locations and dotted imports: ours has one registry and entry points
OURS: dict[str, tuple[str, Callable[[], bool]]] = {
    "build_dotted_import_path": (
        "KeyError: nothing is imported because a config names it",
        lambda: refused(
            KeyError, lambda: empty().build({"type": "torch.nn.Linear"}), "not imported"
        ),
    ),
    "child_falls_back_to_parent": (
        "no parents: TypeError",
        lambda: refused(TypeError, lambda: Registry("r", parent=empty())),  # pyright: ignore[reportCallIssue]
    ),
    "parent_needs_scope": (
        "no children; registries know nothing of each other",
        lambda: "C" not in empty() and "C" in holding(),
    ),
    "scope_prefix": (
        "no scopes; `package:Name` finds what a package offers",
        lambda: Registry("r", builtin={"Linear": "torch.nn"}).get("torch:Linear") is nn.Linear,
    ),
    "sibling_scope_prefix": (
        "no scopes; a prefix that fits no package finds nothing",
        lambda: holding().get("other:C") is None,
    ),
    "unknown_scope_prefix": (
        "KeyError, as there",
        lambda: refused(KeyError, lambda: holding().build({"type": "nopkg.C"}), "'nopkg.C'"),
    ),
    "unknown__scope__key": (
        "KeyError: there are no scopes",
        lambda: refused(
            KeyError, lambda: holding().build({"type": "C", "_scope_": "nopkg"}), "no scopes"
        ),
    ),
    "duplicate_child_scope": (
        "no children: TypeError",
        lambda: refused(TypeError, lambda: Registry("r", scope="s")),  # pyright: ignore[reportCallIssue]
    ),
    "lazy_locations": (
        "no locations; built-in names are imported one by one when used, others by entry points",
        lambda: Registry("r", builtin={"Linear": "torch.nn"}).get("Linear") is nn.Linear,
    ),
}


@pytest.fixture
def rows(goldens: Path) -> list[dict[str, str]]:
    return json.loads((goldens / "components" / "registry_semantics.json").read_text())


def test_every_row_is_taken_up(rows: list[dict[str, str]]):
    assert [row["case"] for row in rows if row["case"] not in {*BINDING, *OURS}] == []
    assert len(rows) == len(BINDING) + len(OURS) == 29


@pytest.mark.parametrize("case", BINDING)
def test_binding_rows(case: str):
    assert BINDING[case]()


@pytest.mark.parametrize("case", OURS)
def test_informative_rows_have_our_outcome(case: str):
    outcome, holds = OURS[case]
    assert outcome and holds()
