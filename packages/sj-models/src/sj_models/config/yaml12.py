"""YAML by the core schema of YAML 1.2, section 10.3: text in, plain data out.

PyYAML alone follows YAML 1.1, in which `1e-3` is text, `no` a boolean and `010` eight.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

from ..errors import ConfigError, ConfigValueError

__all__ = ["dump_yaml", "parse_scalar", "parse_yaml"]

_TAG = "tag:yaml.org,2002:"
_LIMIT = 100_000  # values of one file, aliases expanded: a small file must not fill the memory


def _integer(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _float(text: str) -> float:
    return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))


_SCALARS: dict[str, tuple[str, str, Callable[[str], Any]]] = {  # tag -> pattern, first letters
    "null": (r"null|Null|NULL|~|", "nN~", lambda _: None),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text.lower() == "true"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789", _integer),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
        _float,
    ),
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012
    yaml_constructors = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != f"{_TAG}str":
                what = f"a key must be text; write '{getattr(key, 'value', '')}' in quotes"
                raise yaml.MarkedYAMLError(problem=what, problem_mark=key.start_mark)
            if key.value in seen:
                what = f"the key {key.value!r} stands here twice"
                raise yaml.MarkedYAMLError(problem=what, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would not read as text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None if text.isprintable() else '"'  # other styles fold some line breaks into blanks
    return dumper.represent_scalar(f"{_TAG}str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _constructor(convert: Callable[[str], Any]) -> Callable[[Any, Any], Any]:
    return lambda loader, node: convert(loader.construct_scalar(node))


for _name, (_pattern, _first, _convert) in _SCALARS.items():
    for _class in (_Loader, _Dumper):
        _letters = [*_first, ""] if _name == "null" else list(_first)
        _class.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), _letters)
    _Loader.add_constructor(_TAG + _name, _constructor(_convert))
_Loader.add_constructor(f"{_TAG}str", yaml.SafeLoader.construct_yaml_str)
_Loader.add_constructor(f"{_TAG}seq", yaml.SafeLoader.construct_yaml_seq)
_Loader.add_constructor(f"{_TAG}map", yaml.SafeLoader.construct_yaml_map)
_Loader.yaml_constructors[None] = yaml.SafeLoader.construct_undefined


def parse_yaml(text: str, *, source: str = "") -> Any:
    """The data in `text`.

    Raises:
        ConfigValueError: names the line.
    """
    try:
        return _expand(yaml.load(text, _Loader), [_LIMIT])
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise ConfigValueError(f"{line}{error.problem}", source=source) from error
    except (yaml.YAMLError, ValueError, ConfigError) as error:
        raise ConfigValueError(f"no YAML: {error}".splitlines()[0], source=source) from error
    except RecursionError:
        raise ConfigValueError(
            "nested too deeply, or an alias holds itself", source=source
        ) from None


def parse_scalar(text: str) -> Any:
    """The value after `key=` on a command line: a flow value of YAML, or text as it stands.

    Example:
        >>> [parse_scalar(text) for text in ("1e-3", "[1, no]", "a: b", "'1'")]
        [0.001, [1, 'no'], 'a: b', '1']
    """
    text = text.strip()
    if text[:1] in tuple("[{'\""):
        return parse_yaml(text)
    for pattern, _, convert in _SCALARS.values():
        if re.fullmatch(pattern, text):
            return convert(text)
    return text


def dump_yaml(data: Any) -> str:
    """Text that :func:`parse_yaml` reads back; tuples become lists."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _expand(value: Any, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        raise ConfigValueError(f"more than {_LIMIT} values once its aliases are expanded")
    if isinstance(value, dict):
        return {key: _expand(item, left) for key, item in value.items()}
    return [_expand(item, left) for item in value] if isinstance(value, list) else value
