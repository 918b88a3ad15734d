"""A JSON schema of configs, so that editors complete names and arguments and mark typos."""

from __future__ import annotations

import collections.abc
import inspect
import json
import types
import typing
from collections.abc import Callable
from typing import Any

from torch import nn

from ..registry import MODELS, Registry
from ..signatures import parameters

__all__ = ["json_schema"]

_COMPONENT = {"$ref": "#/$defs/component"}
_BASIC = {
    bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null",
}  # fmt: skip


def json_schema(registry: Registry = MODELS) -> dict[str, Any]:
    """The schema (draft 2020-12) of a config file: its keys, and per component its arguments.

    Arguments without a default are not required: a file may inherit them. Every component is
    imported.
    """
    names = registry.names()
    marks = {"_delete_": {"type": "boolean"}, "_merge_": {"type": "boolean"}}
    cases = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"$ref": f"#/$defs/{name}"},
        }
        for name in names
    ]
    component = {
        "type": "object",
        "properties": {"type": {"enum": names}, **marks},
        "allOf": cases,
    }
    texts = {"type": "string"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "_base_": {"anyOf": [texts, {"type": "array", "items": texts}]},
            "model": _COMPONENT,
        },
        "if": {"required": ["type"]},
        "then": _COMPONENT,
        "$defs": {
            "component": component,
            **{name: _arguments(registry.get(name), marks) for name in names},
        },
    }


def _arguments(component: Callable[..., Any] | None, marks: dict[str, Any]) -> dict[str, Any]:
    assert component is not None  # a name of the registry
    known = parameters(component)
    properties = {
        name: {**_type(parameter.annotation), **_default(parameter.default)}
        for name, parameter in known.items()
        if name != "**"
    }
    return {
        "description": (inspect.getdoc(component) or "").partition("\n")[0],
        "type": "object",
        "properties": {"type": {"type": "string"}, **marks, **properties},
        "additionalProperties": "**" in known,
    }


def _type(annotation: Any) -> dict[str, Any]:
    """What a file may hold for this annotation; {} is anything."""
    origin, arms = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _any_of(arms)
    if annotation in _BASIC:
        return {"type": _BASIC[annotation]}
    if origin is typing.Literal:
        return {"enum": list(arms)}
    kind = origin or annotation
    if not inspect.isclass(kind):
        return {}
    if issubclass(kind, nn.Module):
        return _COMPONENT
    if issubclass(kind, collections.abc.Mapping):
        return {"type": "object"}
    if issubclass(kind, (list, tuple, set)) or kind is collections.abc.Sequence:
        same = arms[0] if len(arms) == 1 or arms[1:] == (Ellipsis,) else None
        return {"type": "array", **({"items": _type(same)} if same is not None else {})}
    return {}


def _any_of(arms: tuple[Any, ...]) -> dict[str, Any]:
    written = [arm for arm in arms if typing.get_origin(arm) is not collections.abc.Callable]
    found = [_type(arm) for arm in written]
    if {} in found:
        return {}
    if _COMPONENT in found:  # a module or its config: the latter must be one
        found = [arm for arm in found if arm != {"type": "object"}]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _default(value: Any) -> dict[str, Any]:
    if value is inspect.Parameter.empty:
        return {}
    try:
        return {"default": json.loads(json.dumps(value))}
    except (TypeError, ValueError):  # a class, say
        return {}
