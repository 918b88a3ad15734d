"""Weight files: where they are, and loading them without running code from them."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from .config import BaseModelConfig

__all__ = ["load_weights", "released_weights", "weights_folder"]

_WRAPPER_KEYS = ("model_state_dict", "model")
_PICKLED_MODULES = {("v010", "ssml"), ("v010", "wgse")}
_LISTED_KEYS = 6


def weights_folder() -> Path:
    """Folder of released weights: ``$SZ_MODELS_WEIGHTS``, else in the user's cache."""
    if chosen := os.environ.get("SZ_MODELS_WEIGHTS"):
        return Path(chosen)
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "sz-models" / "weights"


def released_weights(cfg: BaseModelConfig, version: str) -> Path:
    """Weight file of a released version such as ``"v023"``.

    Raises:
        FileNotFoundError: it is not there; the message names its address and its place.
    """
    suffix = "pt" if (version, cfg.model_name) in _PICKLED_MODULES else "pth"
    path = weights_folder() / version / f"{cfg.model_name}.{suffix}"
    if not path.is_file():
        tag = "v" + ".".join(version.removeprefix("v"))
        url = f"{cfg.base_url}/{tag}/{cfg.model_name}.{suffix}"
        raise FileNotFoundError(
            f"no {version} weights of {cfg.model_name}: download {url} and save it as {path} "
            "(SZ_MODELS_WEIGHTS chooses another folder)"
        )
    return path


def load_weights(net: nn.Module, path: str | os.PathLike[str]) -> None:
    """Load a state dict into ``net``, on the CPU, strictly.

    Accepts a plain state dict or one under the key ``model_state_dict`` or ``model``, and keys
    prefixed with ``module.`` by ``DataParallel``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a weight file, one that holds code, or keys or shapes that do not fit.
    """
    source = Path(path)
    state = _read(source)
    expected = net.state_dict()
    optional = tuple(getattr(net, "optional_state", ()))
    missing = [key for key in expected if key not in state and not key.startswith(optional)]
    unexpected = [key for key in state if key not in expected]
    shapes = [
        f"{key} {list(state[key].shape)} (network: {list(tensor.shape)})"
        for key, tensor in expected.items()
        if key in state and state[key].shape != tensor.shape
    ]
    lists = {"missing": missing, "unexpected": unexpected, "wrong shape": shapes}
    problems = [f"{what}: {_shorten(keys)}" for what, keys in lists.items() if keys]
    if problems:
        raise ValueError(
            f"{source} does not fit {type(net).__name__}; {'; '.join(problems)}; check the model "
            "and its model_params"
        )
    net.load_state_dict(state, strict=not optional)


def _read(source: Path) -> dict[str, Tensor]:
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such weight file")
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{source} is not a plain state dict (it may hold code, which is never run); save "
            "net.state_dict() instead"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ValueError(f"{source} is not a readable weight file: {error}") from error
    for key in _WRAPPER_KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        raise ValueError(f"{source} holds no state dict (names to tensors)")
    return {key.removeprefix("module."): value for key, value in content.items()}


def _shorten(keys: list[str]) -> str:
    shown = ", ".join(keys[:_LISTED_KEYS])
    return shown if len(keys) <= _LISTED_KEYS else f"{shown} and {len(keys) - _LISTED_KEYS} more"
