"""Whole models from configs, and what they cost.

    python -m sj_models.build configs/resnet18_cifar.yaml --set model.backbone.depth=34
    python -m sj_models.build --schema > schema.json

The command prints the model and its costs; it computes nothing and loads no weights.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from .build_path import is_building
from .config import json_schema, load_config
from .errors import ConfigError, ConfigTypeError, ConfigValueError
from .initialise import initialise_children
from .neurons import is_neuron
from .registry import MODELS, plain

__all__ = ["build", "build_part", "main", "to_config"]

_MISTAKES = (ValueError, TypeError, KeyError, IndexError, RuntimeError)  # of arguments


def build(cfg: Mapping[str, Any]) -> Any:
    """Build a model and initialise its weights.

    Args:
        cfg: the config of the model, or a mapping that has it under `model`.

    Returns:
        the model; `model.config` is the config that builds it again.

    Raises:
        ConfigError: a mistake in the config; names the key and what is close.
    """
    outermost = not is_building()
    model = MODELS.build_at("model" if outermost else "", _model_of(cfg))
    if outermost and isinstance(model, nn.Module):
        if hasattr(model, "init_weights"):
            model.init_weights()  # pyright: ignore[reportCallIssue]
        else:
            initialise_children(model)
    return model


def build_part(part: nn.Module | Mapping[str, Any] | None, *, path: str) -> Any:
    """A part of a model: built from its config, or the module itself, or None.

    Args:
        part: what a constructor was given.
        path: the constructor's argument, for error messages.

    Raises:
        ConfigError: a mistake in the config, or none of the three.
    """
    if part is None or isinstance(part, nn.Module):
        return part
    return MODELS.build_at(path, part)


def to_config(module: nn.Module) -> dict[str, Any]:
    """The config that builds `module` again (without its weights).

    Raises:
        TypeError: the module was not built from a config.
    """
    config = getattr(module, "config", None)
    if not isinstance(config, dict):
        raise ConfigTypeError(f"{type(module).__name__} was not built from a config")
    return plain(config)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    args = _parser().parse_args(argv)
    try:
        for module in args.imports:
            importlib.import_module(module)
        text = json.dumps(json_schema(), indent=2) if args.schema else _report(args)
    except (ConfigError, OSError, ImportError, *_MISTAKES) as error:
        text = str(error.args[0]) if type(error) is KeyError else str(error)
        lines = [*text.splitlines()[:1], *getattr(error, "__notes__", ())]
        print(f"sj_models.build: {'; '.join(lines)}", file=sys.stderr)
        return 2
    print(text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sj_models.build", description="Show the model of a config and its costs."
    )
    parser.add_argument("config", nargs="?", help="a .yaml or .json file")
    parser.add_argument(
        "--set", dest="overrides", metavar="KEY=VALUE", nargs="+", action="extend", default=[],
        help="a.b=1 changes, +a.b=1 adds, ~a.b removes",
    )  # fmt: skip
    parser.add_argument(
        "--input-shape", type=_shape, metavar="[T,]C,H,W",
        help="of one sample; default: input_shape of the config, or 3,224,224",
    )  # fmt: skip
    parser.add_argument(
        "--import", dest="imports", metavar="MODULE", action="append", default=[],
        help="a module that registers components of yours",
    )  # fmt: skip
    parser.add_argument("--schema", action="store_true", help="print a JSON schema for editors")
    return parser


def _shape(text: str) -> list[int]:
    return [int(size) for size in text.split(",")]


def _report(args: argparse.Namespace) -> str:
    from .cost import cost_table, costs, without_memory

    if args.config is None:
        raise ConfigValueError("give a config file, or --schema")
    cfg = load_config(args.config, args.overrides)
    try:
        model = without_memory(lambda: MODELS.build_at("model", _model_of(cfg)))
    except ConfigError as error:
        error.source = args.config
        raise
    except Exception as error:
        error.add_note(f"in {args.config}")
        raise
    shape = args.input_shape or cfg.get("input_shape", [3, 224, 224])
    numbers = shape if isinstance(shape, list) else ()
    if len(numbers) not in (3, 4) or not all(type(n) is int and n > 0 for n in numbers):
        text = f"is [C, H, W] or [T, C, H, W] in numbers from 1 on, got {shape!r}"
        raise ConfigValueError(text, path="input_shape", source=args.config)
    try:
        table = cost_table(costs(model, _sample(model, shape)))
    except _MISTAKES as error:
        reason = str(error).partition("\n")[0]
        raise ConfigValueError(
            f"the model refuses an input of {list(shape)}; give --input-shape: {reason}",
            source=args.config,
        ) from error
    return f"{model}\n\nCosts of one input {list(shape)}\n{table}"


def _sample(model: nn.Module, shape: Sequence[int]) -> torch.Tensor:
    *steps, channels, height, width = shape
    modes = [m.step_mode for m in model.modules() if is_neuron(m)]
    if not steps and "m" in modes and getattr(model, "encoder", None) is None:
        steps = [1]
    return torch.zeros(*steps, 1, channels, height, width, device="meta")


def _model_of(cfg: Any) -> Any:
    has_it = isinstance(cfg, Mapping) and "type" not in cfg and "model" in cfg
    return cfg["model"] if has_it else cfg


if __name__ == "__main__":
    sys.exit(main())
