"""Weights out of a pickled network, without its classes and without running its code."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sj_datasets.atomic import atomic_path

from .container import read_container
from .inert import StandIn, StoredTensor

__all__ = ["WRAPPER_KEYS", "convert_pickled_weights", "read_pickled_state"]

WRAPPER_KEYS = ("model_state_dict", "model")
_PARALLEL = ("DataParallel", "DistributedDataParallel")
_DEEPEST = 100


def convert_pickled_weights(
    source: str | os.PathLike[str], target: str | os.PathLike[str]
) -> list[str]:
    """Write the state dict of a pickled network as a plain file of tensors.

    ``source`` may hold what ``torch.save(net)`` wrote, in either of its formats: a network, one
    inside ``DataParallel``, or a checkpoint with one of them or a state dict under the key
    ``model_state_dict`` or ``model``.  Nothing that the file names is imported or called, so the
    classes need not exist.  The names, order, shapes, types and bits are those of
    ``net.state_dict()``, unless a class of the network changed what that returns.

    Args:
        source: the pickled file.
        target: file to write; it appears whole or not at all.

    Returns:
        The names of the tensors.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a file of ``torch.save``, a damaged one, or one without a network.
    """
    state = read_pickled_state(source)
    with atomic_path(target) as temporary:
        torch.save(state, temporary)
    return list(state)


def read_pickled_state(source: str | os.PathLike[str]) -> dict[str, Tensor]:
    """State dict in a pickled file; see :func:`convert_pickled_weights`."""
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such weight file")
    content, tensors = read_container(path)
    for key in WRAPPER_KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), (Mapping, StandIn)):
            content = content[key]
    try:
        named = list(_named(content))
        state = {name: tensors.tensor(value) for name, value in named}
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise ValueError(f"{path} holds no network that can be converted: {error}") from error
    if not state:
        raise ValueError(f"{path} holds no weights")
    return state


def _named(content: object) -> Iterator[tuple[str, StoredTensor]]:
    if isinstance(content, Mapping):
        for name, value in content.items():
            if not isinstance(name, str) or not isinstance(value, StoredTensor):
                raise ValueError("neither a network nor a state dict")
            yield name, value
        return
    if type(content).__name__ in _PARALLEL:
        content = _members(_attributes(content, ""), "_modules", "").get("module")
    yield from _module(content, "", 0)


def _module(module: object, prefix: str, depth: int) -> Iterator[tuple[str, StoredTensor]]:
    """Tensors in the order of ``state_dict``: own parameters, own buffers, then the children."""
    if depth > _DEEPEST:
        raise ValueError(f"modules are nested more than {_DEEPEST} deep")
    attributes = _attributes(module, prefix)
    unsaved = attributes.get("_non_persistent_buffers_set", ())
    own = {
        **_members(attributes, "_parameters", prefix),
        **{
            name: value
            for name, value in _members(attributes, "_buffers", prefix).items()
            if not isinstance(unsaved, (set, tuple)) or name not in unsaved
        },
    }
    for name, value in own.items():
        if value is None:
            continue
        if not isinstance(value, StoredTensor):
            raise ValueError(f"{prefix}{name} is not a plain tensor")
        yield f"{prefix}{name}", value
    for name, child in _members(attributes, "_modules", prefix).items():
        if child is not None:
            yield from _module(child, f"{prefix}{name}.", depth + 1)


def _attributes(module: object, prefix: str) -> Mapping[str, Any]:
    state = module.state if isinstance(module, StandIn) else None
    if not isinstance(state, Mapping):
        raise ValueError(f"{prefix.removesuffix('.') or 'the content'} is not a module")
    return state


def _members(attributes: Mapping[str, Any], kind: str, prefix: str) -> Mapping[str, Any]:
    members = attributes.get(kind)
    if not isinstance(members, Mapping) or not all(isinstance(name, str) for name in members):
        raise ValueError(f"{prefix.removesuffix('.') or 'the content'} is not a module ({kind})")
    return members
