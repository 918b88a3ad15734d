"""Names of models: a plain table from name to wrapper, configuration and network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ._names import unknown_name
from .config import BaseModelConfig

if TYPE_CHECKING:
    from .models.base import BaseModel

__all__ = [
    "METHOD",
    "METHODS",
    "Method",
    "build_model_cfg",
    "build_model_name",
    "find_method",
    "register",
]


class Method(NamedTuple):
    """One row of the table."""

    model: Callable[[Any], BaseModel]
    config: Callable[..., BaseModelConfig]
    arch: Callable[..., Any] | None


class METHOD:
    """Names of the built-in methods."""

    BASE = "base"
    TFP = "tfp"
    TFI = "tfi"
    GTFP = "gtfp"
    ISI = "isi"
    SPIKECLIP = "spikeclip"
    SPK2IMGNET = "spk2imgnet"
    SSIR = "ssir"
    SSML = "ssml"
    STIR = "stir"
    BSF = "bsf"
    WGSE = "wgse"


METHODS: list[str] = []
"""Names that can be built, in order of registration."""

_registered: dict[str, Method] = {}
_built_in: dict[str, Method] = {}


def register(
    name: str,
    model: Callable[[Any], BaseModel],
    config: Callable[..., BaseModelConfig],
    arch: Callable[..., Any] | None = None,
    *,
    replace: bool = False,
) -> None:
    """Add a method under ``name`` (case does not matter); a later call replaces an earlier one.

    Args:
        name: what ``build_model_name`` and the command line call it.
        model: wrapper class, a subclass of ``BaseModel``.
        config: its configuration class.
        arch: network class; ``None`` looks it up as ``build_network`` does.
        replace: allow the name of a built-in method.

    Raises:
        ValueError: the name is built in and ``replace`` is not set.
        TypeError: a class is not callable.
    """
    key = name.lower()
    if key in _built_in and not replace:
        raise ValueError(f"{name!r} is a built-in method; pass replace=True to shadow it")
    for role, given in (("model", model), ("config", config)):
        if not callable(given):
            raise TypeError(f"{role} must be a class, got {given!r}")
    _registered[key] = Method(model, config, arch)
    _list(key)


def add_built_in(name: str, model: Callable[[Any], BaseModel], config: type, arch: type) -> None:
    """Fill the built-in table; for this package's own models."""
    _built_in[name] = Method(model, config, arch)
    _list(name)


def find_method(name: str) -> Method | None:
    """Row of a registered or built-in name, registered ones first."""
    key = name.lower()
    return _registered.get(key) or _built_in.get(key)


def is_registered(name: str) -> bool:
    """Whether a user registered this name, which may shadow a built-in method."""
    return name.lower() in _registered


def find_arch(name: str) -> tuple[Callable[..., Any] | None, list[str]]:
    """Network of a name and the tables that were searched for it."""
    key = name.lower()
    for table in (_registered, _built_in):
        if key in table and table[key].arch is not None:
            return table[key].arch, []
    return None, [f"registered name {name!r}", f"built-in network {name!r}"]


def build_model_cfg(cfg: BaseModelConfig) -> BaseModel:
    """Wrapper of a configuration: ``cfg.model_cls_local`` or the one registered by its name.

    Raises:
        ValueError: no such name.
    """
    if cfg.model_cls_local is not None:
        return cfg.model_cls_local(cfg)
    method = find_method(cfg.model_name)
    if method is None:
        raise ValueError(unknown_name("method", cfg.model_name, METHODS))
    return method.model(cfg)


def build_model_name(name: str) -> BaseModel:
    """Wrapper with the default configuration of a name such as ``"tfp"``.

    Raises:
        ValueError: no such name.
    """
    return build_model_cfg(default_config(name))


def default_config(name: str) -> BaseModelConfig:
    """Default configuration of a name."""
    method = find_method(check_name(name))
    if method is None:
        raise ValueError(unknown_name("method", name, METHODS))
    cfg = method.config()
    if cfg.model_name.lower() == name.lower():
        return cfg
    # Registered under a name of its own: the network is found by that name.
    return dataclasses.replace(cfg, model_name=name)


def check_name(name: str) -> str:
    """Refuse what is no name, such as a configuration.

    Raises:
        TypeError: no text.
    """
    if not isinstance(name, str):
        raise TypeError(f"a method is chosen by its name, such as 'tfp', got {name!r}")
    return name


def _list(name: str) -> None:
    if name not in METHODS:
        METHODS.append(name)
