"""How a config inherits; the table is in the package's docstring."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigKeyError, ConfigTypeError, ConfigValueError, did_you_mean
from ..registry import plain

__all__ = ["join_bases", "merge", "resolve_references", "without_marks"]

_MARKS = ("_delete_", "_merge_")
_REFERENCE = re.compile(r"\{\{\s*_base_\.([^{}]+?)\s*\}\}")


def merge(
    base: Mapping[str, Any], child: Mapping[str, Any], *, path: str = "", source: str = ""
) -> dict[str, Any]:
    """`child` over `base`; both stay as they are.

    Raises:
        ConfigTypeError: a mapping over a number, text or list.
        ConfigValueError: `_delete_` or `_merge_` that is not true or false.
    """
    marks = {mark: child.get(mark, False) for mark in _MARKS}
    for mark, value in marks.items():
        if not isinstance(value, bool):
            text = f"{mark} is true or false, got {value!r}"
            raise ConfigValueError(text, path=path, source=source)
    changed = "type" in base and child.get("type", base["type"]) != base["type"]
    if marks["_delete_"] or (changed and not marks["_merge_"]):
        base = {}
    merged = plain(base)
    for key, value in child.items():
        if key in _MARKS:
            continue
        where = f"{path}.{key}" if path else key
        if not isinstance(value, Mapping):
            merged[key] = without_marks(value, where, source)
            continue
        below = merged.get(key)
        if below is not None and not isinstance(below, Mapping):
            if not value.get("_delete_", False):
                text = f"a mapping cannot go over {below!r}; to replace it, add _delete_: true"
                raise ConfigTypeError(text, path=where, source=source)
            below = None
        merged[key] = merge(below or {}, value, path=where, source=source)
    return merged


def join_bases(bases: Mapping[str, Mapping[str, Any]], *, source: str) -> dict[str, Any]:
    """The keys of all bases (file -> config), which must have none in common."""
    joined: dict[str, Any] = {}
    owner: dict[str, str] = {}
    for file, base in bases.items():
        for key, value in base.items():
            if key in joined:
                text = f"stands in two bases, {owner[key]} and {file}; let one inherit the other"
                raise ConfigKeyError(text, path=key, source=source)
            joined[key], owner[key] = value, file
    return joined


def resolve_references(value: Any, base: Mapping[str, Any], *, path: str, source: str) -> Any:
    """`value` with each `{{_base_.a.b}}` replaced by what `base` has at a.b."""
    if isinstance(value, Mapping):
        return {
            key: resolve_references(
                item, base, path=f"{path}.{key}" if path else key, source=source
            )
            for key, item in value.items()
        }
    if type(value) in (list, tuple):
        items = (
            resolve_references(item, base, path=f"{path}.{i}", source=source)
            for i, item in enumerate(value)
        )
        return type(value)(items)
    if not isinstance(value, str):
        return value
    if whole := _REFERENCE.fullmatch(value.strip()):
        return plain(_at(base, whole[1], path, source))
    return _REFERENCE.sub(lambda match: str(_at(base, match[1], path, source)), value)


def without_marks(value: Any, path: str = "", source: str = "") -> Any:
    """A deep copy in which no mapping says `_delete_` or `_merge_`."""
    if isinstance(value, Mapping):
        return merge({}, value, path=path, source=source)
    if type(value) in (list, tuple):
        items = (without_marks(item, f"{path}.{i}", source) for i, item in enumerate(value))
        return type(value)(items)
    return value


def _at(base: Any, keys: str, path: str, source: str) -> Any:
    for key in keys.split("."):
        if not isinstance(base, Mapping) or key not in base:
            known = base if isinstance(base, Mapping) else ()
            text = f"the bases have no {keys!r}{did_you_mean(key, known)}"
            raise ConfigKeyError(text, path=path, source=source)
        base = base[key]
    return base
