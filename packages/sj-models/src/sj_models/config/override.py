"""Changes to a config from the command line: `a.b=1`, `+a.b=1`, `~a.b`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ..errors import ConfigKeyError, ConfigTypeError, ConfigValueError, did_you_mean
from ..registry import MODELS, Registry, plain
from ..signatures import parameters
from .merge import without_marks
from .yaml12 import parse_scalar

__all__ = ["override"]

_FORM = re.compile(r"(?P<sign>[+~]?)(?P<key>[^=]+)(?P<value>=.*)?", re.DOTALL)


def override(
    cfg: Mapping[str, Any],
    overrides: Sequence[str] | Mapping[str, Any],
    *,
    registry: Registry = MODELS,
    source: str = "",
) -> dict[str, Any]:
    """A copy of `cfg` with the changes, from the first to the last.

    A new key needs `+`, unless the `type` beside it has an argument of this name; arguments of a
    type that `registry` does not know are left to whoever builds it. Another `type` takes the
    place of the whole mapping.

    Args:
        cfg: the config.
        overrides: texts, or keys (with their sign) and values; see :mod:`sj_models.config`.
        registry: where types are looked up.
        source: the file of `cfg`, for errors.

    Raises:
        ConfigKeyError: a key or list item that does not exist; names the closest.
        ConfigTypeError: a path through something that has no keys.
        ConfigValueError: an override that cannot be read.

    Example:
        >>> override({"a": {"b": 1}, "c": 2}, ["a.b=1e-3", "+a.d=[x, y]", "~c"])
        {'a': {'b': 0.001, 'd': ['x', 'y']}}
    """
    changed = plain(cfg)
    for sign, path, value in _changes(overrides, source):
        *parents, last = path.split(".")
        node: Any = changed
        for count, key in enumerate(parents, 1):
            slot = _slot(node, key, ".".join(parents[:count]), sign == "+", (), source)
            if sign == "+":
                _make(node, slot)
            node = node[slot]
        known = _arguments(node, registry)
        free = sign == "+" or (sign == "" and (known is None or last in known or "**" in known))
        slot = _slot(node, last, path, free, known or (), source)
        if sign == "~":
            del node[slot]
        else:
            _put(node, slot, without_marks(value, path, source))
    return changed


def _changes(
    overrides: Sequence[str] | Mapping[str, Any], source: str
) -> Iterator[tuple[str, str, Any]]:
    if isinstance(overrides, str):
        raise ConfigTypeError(f"overrides are a list of texts, got {overrides!r}", source=source)
    given = overrides.items() if isinstance(overrides, Mapping) else [(o, None) for o in overrides]
    for text, value in given:
        if not isinstance(text, str):
            raise ConfigTypeError(f"an override is text, got {text!r}", source=source)
        match = _FORM.fullmatch(text.strip())
        needs_value = not isinstance(overrides, Mapping) and not text.startswith("~")
        if match is None or needs_value != (match["value"] is not None):
            raise ConfigValueError(
                f"an override reads key=value, +key=value or ~key, got {text!r}", source=source
            )
        path = match["key"].strip()
        try:
            value = parse_scalar(match["value"][1:]) if match["value"] else value
        except ConfigValueError as error:
            error.path, error.source = path, source
            raise
        yield match["sign"], path, value


def _arguments(node: Any, registry: Registry) -> Collection[str] | None:
    """What the `type` of `node` takes; None if it is not ours to say."""
    kind = node.get("type") if isinstance(node, dict) else ""
    component = registry.get(kind) if kind and isinstance(kind, str) else kind
    if kind and component is None:
        return None
    return parameters(component) if callable(component) else ()


def _slot(
    node: Any, key: str, where: str, free: bool, known: Collection[str], source: str
) -> str | int:
    """The key or index in `node`; one that does not exist only if `free`."""
    if isinstance(node, dict):
        if key not in node and not free:
            hint = did_you_mean(key, [*node, *known])
            text = f"there is no such key; to add it, write +{where}=...{hint}"
            raise ConfigKeyError(text, path=where, source=source)
        return key
    if not isinstance(node, list):
        text = f"there are no keys in {node!r}, which stands above"
        raise ConfigTypeError(text, path=where, source=source)
    index = int(key) if re.fullmatch(r"-?[0-9]+", key) else None
    if index is None or not -len(node) <= index < len(node) + free:
        text = f"the list has the items 0 to {len(node) - 1}" if node else "the list is empty"
        raise ConfigKeyError(text, path=where, source=source)
    return index


def _make(node: Any, slot: Any) -> None:
    exists = slot < len(node) if isinstance(node, list) else node.get(slot) is not None
    if not exists:
        _put(node, slot, {})


def _put(node: Any, slot: Any, value: Any) -> None:
    if isinstance(node, dict):
        if slot == "type" and node.get("type") not in (None, value):
            node.clear()  # as in inheritance: the other arguments belong to the former type
        node[slot] = value
    elif slot == len(node):
        node.append(value)
    else:
        node[slot] = value
