"""Checkpoints of spread models: each process writes its parts, one small file names them.

    checkpoint_<epoch>[_<batch>].shards/   parts of all processes (torch.distributed.checkpoint)
    checkpoint_*.pth                       the rest; in place of each spread tensor one without
                                           values (device ``meta``), and key ``shards``: the folder

A folder gets a name of its own and is complete before the first ``.pth`` names it; folders that
no ``.pth`` names any more are removed afterwards.  All processes must see the same folder.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from . import distributed, files
from .errors import CheckpointError, OutputError
from .parallel import is_spread

__all__ = ["fill", "free_name", "layout_of", "remove_unnamed", "split", "write_parts"]

SUFFIX = ".shards"
_SPREAD = ("model", "optimizer", "model_ema")

# Where a tensor of the content goes: the run's own tensor at that path, None if there is none.
Layout = Callable[[tuple[Any, ...]], Tensor | None]


def split(content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A checkpoint's content without the values of spread tensors, and those tensors."""
    parts: dict[str, Tensor] = {}

    def take(path: tuple[Any, ...], tensor: Tensor) -> Tensor:
        if not is_spread(tensor):
            return tensor
        parts[_key(path)] = tensor.detach()
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")

    return _changed(content, _SPREAD, take), parts


def fill(
    content: dict[str, Any],
    path: Path,
    layout: Layout = lambda path: None,
    *,
    keys: tuple[str, ...] = _SPREAD,
) -> dict[str, Any]:
    """``content`` of the file ``path`` with its values, each tensor spread as ``layout`` has it.

    Args:
        keys: entries that are wanted; the others are left as they are.

    Raises:
        CheckpointError: the folder with the parts is missing or damaged; the text names it.
    """
    wanted: dict[str, Tensor] = {}

    def place(path: tuple[Any, ...], tensor: Tensor) -> Tensor:
        own = layout(path)
        if own is None or not is_spread(own) or own.shape != tensor.shape:
            own = None
        if tensor.device.type != "meta":
            return tensor if own is None else _spread(tensor, own)
        if own is None:
            target = torch.empty(tensor.shape, dtype=tensor.dtype)
        else:
            target = torch.empty_like(own.detach(), dtype=tensor.dtype)
        wanted[_key(path)] = target
        return target

    filled = _changed(content, keys, place)
    if wanted:
        from .shard_reader import read_tensors

        name = content.get("shards")
        if not isinstance(name, str) or Path(name).name != name:
            raise CheckpointError(f"checkpoint {path} does not name the folder of its parts")
        read_tensors(wanted, path.parent / name)
    return filled


def layout_of(
    model: nn.Module, ema: nn.Module | None = None, optimizer: Optimizer | None = None
) -> Layout:
    """Layout of a run: that of its model, its average, and its parameters for the optimizer."""
    own: dict[str, Mapping[str, Tensor]] = {"model": distributed.unwrap(model).state_dict()}
    if ema is not None:
        own["model_ema"] = ema.state_dict()
    groups = [] if optimizer is None else optimizer.param_groups
    parameters: list[Tensor] = [tensor for group in groups for tensor in group["params"]]

    def layout(path: tuple[Any, ...]) -> Tensor | None:
        if path[0] in own:
            return own[path[0]].get(path[1])
        # ("optimizer", "state", <number of the parameter>, <name>)
        if path[:2] == ("optimizer", "state") and path[2] < len(parameters):
            return parameters[path[2]]
        return None

    return layout


def write_parts(parts: dict[str, Tensor], folder: Path) -> None:
    """Write this process's parts to the new ``folder``; all processes call this together.

    Raises:
        OutputError: the disk is full or the folder not writable, on any process.
    """
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.filesystem import FileSystemWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    try:
        save(dict(parts), storage_writer=FileSystemWriter(folder))
    except CheckpointException as error:
        first, _ = next(iter(error.failures.values()))
        reason = getattr(first, "strerror", None) or str(first).partition("\n")[0]
        raise OutputError(f"cannot write {folder}: {reason}") from error
    if distributed.rank() == 0:
        files.sync_folder(folder)


def free_name(folder: Path, stem: str) -> str:
    """A name for the parts that no folder beside the checkpoints has."""
    name, number = f"{stem}{SUFFIX}", 1
    while (folder / name).exists():
        name, number = f"{stem}-{number}{SUFFIX}", number + 1
    return name


def remove_unnamed(folder: Path) -> None:
    """Remove the folders of parts that no checkpoint in ``folder`` names."""
    found = {path.name for path in folder.glob(f"checkpoint_*{SUFFIX}") if path.is_dir()}
    if not found:
        return
    named = set()
    for path in folder.glob("*.pth"):
        try:
            # Mapped, so that whole models of other runs are not read.
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except Exception:  # torch raises errors of many kinds
            return  # whatever it names must stay
        if isinstance(content, Mapping):
            named.add(content.get("shards"))
    for name in found - named:
        shutil.rmtree(folder / name, ignore_errors=True)


def _key(path: tuple[Any, ...]) -> str:
    return "/".join(str(part) for part in path)


def _spread(whole: Tensor, own: Tensor) -> Tensor:
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(own, DTensor)
    return distribute_tensor(whole.to(own.device), own.device_mesh, own.placements)


def _changed(
    content: dict[str, Any], keys: tuple[str, ...], change: Callable[..., Tensor]
) -> dict[str, Any]:
    return {
        key: _walk(value, (key,), change) if key in keys else value
        for key, value in content.items()
    }


def _walk(value: Any, path: tuple[Any, ...], change: Callable[..., Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(path, value)
    if isinstance(value, Mapping):
        # A copy keeps what a state dict carries besides its entries.
        copied: Any = copy.copy(value)
        for key, item in value.items():
            copied[key] = _walk(item, (*path, key), change)
        return copied
    if isinstance(value, list | tuple):
        return type(value)([_walk(item, (*path, i), change) for i, item in enumerate(value)])
    return value
