"""Loading a file of weights into a network, strictly and without running code from it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from .pickled import WRAPPER_KEYS

__all__ = ["load_weights", "read_state"]

_LISTED_KEYS = 6


def load_weights(net: nn.Module, path: str | os.PathLike[str]) -> None:
    """Load a state dict into ``net``, on the CPU, strictly.

    Accepts a plain state dict or one under the key ``model_state_dict`` or ``model``, and keys
    prefixed with ``module.`` by ``DataParallel``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a weight file, one that holds code, or keys or shapes that do not fit.
    """
    source = Path(path)
    state = read_state(source)
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


def read_state(source: Path) -> dict[str, Tensor]:
    """State dict in a file, as :func:`load_weights` accepts it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a weight file, or one that holds code.
    """
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such weight file")
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{source} is not a plain state dict (it may hold code, which is never run); save "
            "net.state_dict() instead, or convert a pickled network with "
            "sz_models.weights.convert_pickled_weights"
        ) from error
    except (RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise ValueError(f"{source} is not a readable weight file: {error}") from error
    for key in WRAPPER_KEYS:
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
