"""Options from a file (``--config``): checked like the command line, which overrides them.

model = "resnet18"        # TOML; JSON and YAML say the same
batch-size = 64           # dashes or underscores
model-ema = true          # a switch
"""

from __future__ import annotations

import argparse
import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

from .errors import DataNotFoundError, OptionError, TrainError
from .extras import require
from .one_line_parser import OneLineParser

__all__ = ["ConfigArgumentParser", "read_config"]

_Names = TypeVar("_Names")


class ConfigArgumentParser(OneLineParser):
    """Argument parser whose options may also stand in the file named by ``--config``.

    The file is read while parsing, so that options a subclass adds later are known too.
    """

    @overload
    def parse_known_args(
        self, args: Iterable[str] | None = None, namespace: None = None
    ) -> tuple[argparse.Namespace, list[str]]: ...
    @overload
    def parse_known_args(
        self, args: Iterable[str] | None, namespace: _Names
    ) -> tuple[_Names, list[str]]: ...
    @overload
    def parse_known_args(self, *, namespace: _Names) -> tuple[_Names, list[str]]: ...
    def parse_known_args(
        self, args: Iterable[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        args = None if args is None else list(args)
        finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        finder.add_argument("--config", default=None)
        if (path := finder.parse_known_args(args)[0].config) is not None:
            namespace = argparse.Namespace() if namespace is None else namespace
            try:
                values = self._typed(read_config(path), path)
            except TrainError as error:
                self.error(str(error))
            for name, value in values.items():
                setattr(namespace, name, value)
        return super().parse_known_args(args, namespace)

    def _typed(self, content: Mapping[str, Any], path: str) -> dict[str, Any]:
        known: dict[str, argparse.Action] = {}
        for action in self._actions:
            for flag in action.option_strings:
                known[flag.lstrip("-").replace("-", "_")] = action
            known.setdefault(action.dest, action)
        values: dict[str, Any] = {}
        for key, value in content.items():
            action = known.get(key.replace("-", "_"))
            if action is None or action.dest in ("help", "config"):
                near = difflib.get_close_matches(key.replace("-", "_"), known, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise OptionError(f"{path}: unknown option {key!r}{hint}")
            values[action.dest] = _checked(action, key, value, path)
        return values


def read_config(path: str | Path) -> dict[str, Any]:
    """Content of a TOML, JSON or YAML file, chosen by its ending.

    Raises:
        DataNotFoundError: no such file.
        OptionError: unknown ending, unreadable, or not a table of options.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataNotFoundError(f"argument --config: {path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"argument --config: cannot read {path}: {error}") from error
    try:
        content = _parsed(text, path.suffix.lower())
    except ValueError as error:
        first = str(error).partition("\n")[0]
        raise OptionError(f"argument --config: {path} is damaged: {first}") from error
    if content is None:
        raise OptionError(f"argument --config: {path} must end in .toml, .json, .yaml or .yml")
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise OptionError(f"argument --config: {path} must hold a table of option = value")
    return content


def _parsed(text: str, suffix: str) -> Any:
    if suffix == ".toml":
        return tomllib.loads(text)
    if suffix == ".json":
        return json.loads(text)
    if suffix in (".yaml", ".yml"):
        yaml = require("yaml", "recipes")
        try:
            return yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            raise ValueError(str(error).replace("\n", " ")) from error
    return None


def _checked(action: argparse.Action, key: str, value: Any, path: str) -> Any:
    """``value`` of the option's type; a whole number is taken for a float, nothing else is."""
    if action.nargs == 0:
        expected: Any = bool
    else:
        expected = action.type if isinstance(action.type, type) else str
    if expected is float and type(value) is int:
        value = float(value)
    if value is None and action.default is None:
        return None
    if type(value) is not expected:
        raise OptionError(
            f"{path}: {key} must be {expected.__name__}, got {value!r} ({type(value).__name__})"
        )
    if action.choices is not None and value not in action.choices:
        raise OptionError(f"{path}: {key} must be one of {list(action.choices)}, got {value!r}")
    return value
