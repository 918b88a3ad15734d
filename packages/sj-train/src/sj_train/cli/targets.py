"""What the command line calls TARGET: a recipe, a file or a module, with an optional class."""

from __future__ import annotations

import argparse
import difflib
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ..errors import DataNotFoundError, OptionError
from ..train_classify import Trainer

__all__ = ["load_module", "load_trainer", "recipe_names", "stored_args"]

# They belong to the run that wrote the checkpoint, not to what is done with it.
_NOT_TAKEN = {
    "config", "resume", "clean", "test_only", "print_logdir", "local_rank", "world_size",
    "start_epoch",
}  # fmt: skip


def recipe_names() -> list[str]:
    """Names of the ready-made runs."""
    package = importlib.import_module("sj_train.recipes")
    found = []
    for info in pkgutil.iter_modules(package.__path__):
        source = Path(package.__path__[0]) / f"{info.name}.py"
        # Helpers lie beside the recipes; a recipe is what has a command line.
        if source.is_file() and "\ndef main(" in source.read_text(encoding="utf-8"):
            found.append(info.name)
    return found


def load_module(target: str) -> ModuleType:
    """The module that ``target`` names.

    Raises:
        DataNotFoundError: no such file.
        OptionError: neither a recipe nor a module, or it fails while it is imported.
    """
    name = target.rpartition(":")[0] or target
    if name.endswith(".py"):
        return _load_file(Path(name))
    if name in recipe_names():
        return importlib.import_module(f"sj_train.recipes.{name}")
    try:
        return importlib.import_module(name)
    except (ModuleNotFoundError, ValueError, TypeError) as error:
        near = difflib.get_close_matches(name, recipe_names(), 1)
        hint = f"did you mean {near[0]}?" if near else f"recipes: {', '.join(recipe_names())}"
        raise OptionError(f"{name!r} is neither a recipe nor a module ({error}); {hint}") from error


def load_trainer(target: str) -> Trainer:
    """An instance of the Trainer subclass in ``target``.

    Raises:
        OptionError: there is none, or several and none is named.
    """
    module = load_module(target)
    wanted = target.rpartition(":")[2] if ":" in target else None
    if wanted is not None and wanted != module.__name__:
        made = getattr(module, wanted, None)
        if not (isinstance(made, type) and issubclass(made, Trainer)):
            raise OptionError(f"{target}: {wanted} is no subclass of Trainer")
        return made()
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Trainer)
        and value.__module__ == module.__name__
    ]
    if not own:
        raise OptionError(f"{target} defines no subclass of Trainer")
    if len(own) > 1:
        names = ", ".join(c.__name__ for c in own)
        raise OptionError(f"{target} has several Trainer subclasses: add one of :{names}")
    return own[0]()


def stored_args(trainer: Trainer, stored: Any, words: list[str]) -> argparse.Namespace:
    """Options for ``trainer``: ``words``, then those stored in a checkpoint, then its defaults."""
    parser = trainer.get_args_parser()
    names = {action.dest for action in parser._actions} - _NOT_TAKEN
    defaults = {k: v for k, v in (stored or {}).items() if k in names}
    if str(defaults.get("device", "cuda")).startswith("cuda") and not torch.cuda.is_available():
        defaults["device"] = "cpu"
    parser.set_defaults(**defaults)
    return parser.parse_args(words)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise DataNotFoundError(f"the file {path} does not exist")
    # As `python FILE` would: modules beside it can be imported, workers find it by its name.
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise OptionError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise OptionError(f"{path} is no Python file: {error.msg}, line {error.lineno}") from error
    return module
