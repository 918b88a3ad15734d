"""Config files: YAML, JSON, and Python on request."""

from __future__ import annotations

import inspect
import json
import os
import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import ConfigKeyError, ConfigTypeError, ConfigValueError
from ..registry import MODELS, Registry, plain
from .merge import join_bases, merge, resolve_references
from .override import override
from .yaml12 import dump_yaml, parse_yaml

__all__ = ["dump_config", "load_config", "load_python_config"]

Overrides = Sequence[str] | Mapping[str, Any]


def load_config(
    path: str | Path, overrides: Overrides = (), *, registry: Registry = MODELS
) -> dict[str, Any]:
    """Read a `.yaml`, `.yml` or `.json` config with its bases; executes nothing.

    Args:
        path: the file.
        overrides: applied last; see :func:`override`.
        registry: knows which new keys a `type` takes.

    Raises:
        FileNotFoundError: the file or a base is missing.
        ConfigError: a mistake; names file and key.
    """
    cfg = _inherited(Path(path), (), python=False)
    return override(cfg, overrides, registry=registry, source=str(path))


def load_python_config(
    path: str | Path, overrides: Overrides = (), *, registry: Registry = MODELS
) -> dict[str, Any]:
    """Run a `.py` file and take its variables as a config: this executes the file and its bases.

    Functions, classes and modules at the top level, and names that start with `__`, are left out.
    Arguments and errors as for :func:`load_config`.
    """
    cfg = _inherited(Path(path), (), python=True)
    return override(cfg, overrides, registry=registry, source=str(path))


def dump_config(cfg: Mapping[str, Any], path: str | Path) -> None:
    """Write plain data as `.yaml`, `.yml` or `.json`; tuples become lists.

    Raises:
        ConfigTypeError: `cfg` holds what a file cannot, such as a module or a key that is no text.
        ConfigValueError: another kind of file.
    """
    path = Path(path)
    cfg = plain(cfg)
    _check_plain(cfg, "", str(path))
    if path.suffix == ".json":
        text = json.dumps(cfg, indent=2, ensure_ascii=False) + "\n"
    elif path.suffix in (".yaml", ".yml"):
        text = dump_yaml(cfg)
    else:
        raise ConfigValueError("configs are written as .yaml, .yml or .json", source=str(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _inherited(path: Path, chain: tuple[Path, ...], *, python: bool) -> dict[str, Any]:
    source = str(path)
    above = [file.resolve() for file in chain]
    if path.resolve() in above:
        cycle = " -> ".join(map(str, (*chain[above.index(path.resolve()) :], path)))
        raise ConfigValueError(f"the bases form a cycle: {cycle}", path="_base_", source=source)
    if not path.is_file():
        raise FileNotFoundError(
            f"{chain[-1]}: _base_: no file {path}" if chain else f"no config file {path}"
        )
    cfg = _read(path, python)
    bases = cfg.pop("_base_", [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, (list, tuple)) or not all(isinstance(b, str) for b in bases):
        text = f"is a path or a list of paths, got {bases!r}"
        raise ConfigTypeError(text, path="_base_", source=source)
    _check_nested(cfg, "", source)
    python = python and path.suffix == ".py"  # data never leads to code
    chain = (*chain, path)
    below = {base: _inherited(path.parent / base, chain, python=python) for base in bases}
    base = join_bases(below, source=source)
    return merge(base, resolve_references(cfg, base, path="", source=source), source=source)


def _read(path: Path, python: bool) -> dict[str, Any]:
    source = str(path)
    if path.suffix == ".py":
        if not python:
            text = "is code, and code is run by sj_models.config.load_python_config only"
            raise ConfigValueError(text, source=source)
        return {
            name: value
            for name, value in runpy.run_path(source).items()
            if not name.startswith("__") and not _is_code(value)
        }
    if path.suffix not in (".yaml", ".yml", ".json"):
        text = (
            f"a config is a .yaml, .yml, .json or .py file, not {path.suffix or 'without suffix'}"
        )
        raise ConfigValueError(text, source=source)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigValueError(f"no UTF-8 text: {error}", source=source) from error
    data = _parse_json(text, source) if path.suffix == ".json" else parse_yaml(text, source=source)
    if not isinstance(data, dict):
        kind = "nothing" if data is None else type(data).__name__
        raise ConfigTypeError(f"a config is a mapping, this file holds {kind}", source=source)
    return data


def _parse_json(text: str, source: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        data = dict(pairs)
        if len(data) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ConfigKeyError("stands twice in one mapping", path=twice, source=source)
        return data

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise ConfigValueError(f"line {error.lineno}: {error.msg}", source=source) from error
    except RecursionError:
        raise ConfigValueError("nested too deeply", source=source) from None


def _is_code(value: Any) -> bool:
    return inspect.isroutine(value) or inspect.isclass(value) or isinstance(value, ModuleType)


def _check_nested(value: Any, path: str, source: str) -> None:
    for key, item in _items(value):
        where = f"{path}.{key}" if path else key
        if key == "_base_":
            raise ConfigValueError("works at the top of a file only", path=where, source=source)
        _check_nested(item, where, source)


def _check_plain(value: Any, path: str, source: str) -> None:
    for key, item in _items(value):
        _check_plain(item, f"{path}.{key}" if path else key, source)
    if isinstance(value, dict) and not all(type(key) is str for key in value):
        raise ConfigTypeError(f"keys are text, got {list(value)!r}", path=path, source=source)
    if type(value) not in (dict, list, tuple, str, int, float, bool, type(None)):
        text = f"cannot be written to a file: {value!r}"
        raise ConfigTypeError(text, path=path, source=source)


def _items(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(key), item) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [(str(index), item) for index, item in enumerate(value)]
    return []
