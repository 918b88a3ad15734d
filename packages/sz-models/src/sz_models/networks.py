"""From a configuration to a network object."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from ._names import unknown_name
from .config import BaseModelConfig
from .registry import METHODS, find_arch

__all__ = ["build_network", "network_parameters", "resolve_network"]


def resolve_network(cfg: BaseModelConfig) -> Callable[..., nn.Module]:
    """Class or function that makes the network.

    Tried in this order: ``cfg.arch_cls_local``; the network registered under ``cfg.model_name``;
    the built-in one; ``<model_cls_name>`` in ``./archs/<model_name>/<model_file_name>.py``.

    Raises:
        ValueError: nothing found; the message lists what was tried.
    """
    if cfg.arch_cls_local is not None:
        return cfg.arch_cls_local
    arch, tried = find_arch(cfg.model_name)
    if arch is not None:
        return arch
    local = _local_file(cfg)
    if not local.is_file():
        tried.append(str(local))
        raise ValueError(
            f"{unknown_name('model', cfg.model_name, METHODS)}; tried arch_cls_local (not set), "
            + ", ".join(tried)
        )
    module = _import_local(cfg)
    if not hasattr(module, cfg.model_cls_name):
        raise ValueError(f"{local} has no class {cfg.model_cls_name!r} (model_cls_name)")
    return getattr(module, cfg.model_cls_name)


def network_parameters(arch: Callable[..., Any]) -> list[str] | None:
    """Argument names of a network, or ``None`` where it takes any."""
    parameters = inspect.signature(arch).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def build_network(cfg: BaseModelConfig, version: str) -> nn.Module:
    """Network of a configuration in a version, without weights.

    Raises:
        ValueError: no such network or version.
        TypeError: an argument the network does not take.
    """
    arch = resolve_network(cfg)
    params = cfg.params_for(version)
    known = network_parameters(arch)
    for name in params:
        if known is not None and name not in known:
            raise TypeError(unknown_name(f"model_params entry of {cfg.model_name}", name, known))
    return arch(**params)


def _local_file(cfg: BaseModelConfig) -> Path:
    parts = [cfg.model_name, *cfg.model_file_name.split(".")]
    for part in parts:
        if not part.isidentifier():
            raise ValueError(
                f"model_name and model_file_name must be module names, got {cfg.model_name!r} and "
                f"{cfg.model_file_name!r}"
            )
    return Path("archs", *parts).with_suffix(".py")


def _import_local(cfg: BaseModelConfig) -> types.ModuleType:
    """Import the file as part of a package rooted at ./archs, so that relative imports work."""
    root = str(Path("archs").resolve())
    package = f"_sz_models_archs_{hashlib.sha256(root.encode()).hexdigest()[:12]}"
    if package not in sys.modules:
        module = types.ModuleType(package)
        module.__path__ = [root]
        sys.modules[package] = module
    importlib.invalidate_caches()
    return importlib.import_module(f"{package}.{cfg.model_name}.{cfg.model_file_name}")
