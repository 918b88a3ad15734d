"""Whole models from configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from .errors import ConfigTypeError
from .initialise import initialise_children
from .registry import MODELS, Registry, is_building, plain

__all__ = ["build", "build_part", "to_config"]


def build(cfg: Mapping[str, Any], *, registry: Registry = MODELS) -> Any:
    """Build a model and initialise its weights.

    Args:
        cfg: the config of the model, or a mapping that has it under `model`.
        registry: where names are looked up.

    Returns:
        the model; `model.config` is the config that builds it again.

    Raises:
        ConfigError: a mistake in the config; names the key and what is close.
    """
    if isinstance(cfg, Mapping) and "type" not in cfg and "model" in cfg:
        cfg = cfg["model"]
    outermost = not is_building()
    model = registry.build_at("model" if outermost else "", cfg)
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
    if not isinstance(part, Mapping):
        raise ConfigTypeError(f"a part is a module, a config or None, got {part!r}", path=path)
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
