"""An HDF5 file as nested dicts, written as they are and read with suspicion.

A file of a few bytes may declare petabytes, lead out of itself or into itself again. Nothing is
allocated, and no link followed, before that is ruled out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5o  # pyright: ignore[reportAttributeAccessIssue]

from .errors import NIRFileError, NIRGraphError

__all__ = ["read_tree", "write_tree"]

# what h5py raises on bytes that are no HDF5, cut off or damaged
_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError)
_DEEPEST = 100  # groups within groups
_INFLATION = 1100  # deflate makes at most 1032 bytes of one
_ALLOWANCE = 1 << 26  # bytes that a file of any size may declare
_BLOCK = 256  # texts read at once


def read_tree(file: Path, root: str) -> Any:
    """The group `root` as dicts, arrays, numpy scalars and str; `None` if there is no such group.

    Raises:
        PermissionError: the file cannot be opened.
        NIRFileError: no HDF5, damaged, or hostile; names node and field as far as it is about one.
    """
    try:
        with h5py.File(file, "r") as content:
            if root not in content:
                return None
            return _Reader(file).group(content[root], ())
    except PermissionError as error:
        raise PermissionError(f"{file}: not readable") from error
    except NIRFileError:
        raise
    except _DAMAGED as error:
        raise NIRFileError(f"{file}: not a readable HDF5 file ({error})") from error


class _Reader:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.left = _ALLOWANCE + _INFLATION * file.stat().st_size
        self.seen: set[int] = set()

    def group(self, group: Any, way: tuple[str, ...]) -> Any:
        """The contents of a group, reached by the names in `way`."""
        if not isinstance(group, h5py.Group):
            return self._value(group, way)
        address = int(h5o.get_info(group.id).addr)
        if address in self.seen:
            raise self._error(
                "is a group that was met before; a group must not be linked twice", way
            )
        if len(way) > _DEEPEST:
            raise self._error(f"is nested more than {_DEEPEST} deep", way)
        self.seen.add(address)
        found: dict[str, Any] = {}
        for key in group:
            inner = (*way, str(key))
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise self._error("is a link to another place, which is not followed", inner)
            found[str(key)] = self.group(group[key], inner)
        return found

    def _value(self, dataset: Any, way: tuple[str, ...]) -> Any:
        if not isinstance(dataset, h5py.Dataset):
            raise self._error("is neither a group nor a dataset", way)
        if dataset.is_virtual or dataset.external:
            raise self._error("keeps its data in other files, which are not opened", way)
        if dataset.shape is None:
            raise self._error("is empty", way)
        text = h5py.check_string_dtype(dataset.dtype)
        if text is None and dataset.dtype.kind not in "biuf":
            raise self._error(f"expected numbers or text, got {dataset.dtype}", way)
        # a chunk is unpacked whole, however little of it is used
        numbers = max(math.prod(dataset.shape), math.prod(dataset.chunks or ()))
        self._spend(numbers * dataset.dtype.itemsize, way)
        try:
            if text is not None and dataset.shape:
                return self._texts(dataset, way)
            value = dataset[()]
            return value.decode("utf-8") if isinstance(value, bytes) else value
        except NIRFileError:
            raise
        except _DAMAGED as error:
            raise self._error(f"cannot be read, the file is damaged ({error})", way) from error

    def _texts(self, dataset: Any, way: tuple[str, ...]) -> np.ndarray:
        """Texts block by block: many may be one long text, stored once."""
        rows = max(1, _BLOCK // max(1, int(np.prod(dataset.shape[1:]))))
        blocks = []
        for start in range(0, dataset.shape[0], rows):
            block = dataset[start : start + rows]
            self._spend(sum(len(text) for text in block.reshape(-1)), way)
            texts = [text.decode("utf-8") for text in block.reshape(-1)]
            blocks.append(np.array(texts, object).reshape(block.shape))
        return np.concatenate(blocks) if blocks else np.empty(dataset.shape, object)

    def _spend(self, size: int, way: tuple[str, ...]) -> None:
        self.left -= size
        if self.left < 0:
            actual = self.file.stat().st_size
            raise self._error(f"declares {size} bytes, but the file has only {actual}", way)

    def _error(self, message: str, way: tuple[str, ...]) -> NIRFileError:
        node, field = _place(way)
        return NIRFileError(message, node=node, field=field)


def write_tree(target: Any, root: str, tree: Mapping[str, Any], version: str) -> None:
    """Write `tree` as the group `root` of a new HDF5 file, arrays compressed.

    Args:
        target: path or binary file.

    Raises:
        NIRGraphError: something that HDF5 cannot hold, or not under its name; names node and field.
    """
    with h5py.File(target, "w") as content:
        content.create_dataset("version", data=version, dtype=h5py.string_dtype())
        _write(content.create_group(root), tree, ())


def _write(group: Any, tree: Mapping[str, Any], way: tuple[str, ...]) -> None:
    for key, value in tree.items():
        inner = (*way, str(key))
        node, field = _place(inner)
        if "/" in inner[-1] or inner[-1] in ("", "."):
            raise NIRGraphError(
                "a name in a file must not be empty, '.' or contain '/'", node=node, field=field
            )
        try:
            if isinstance(value, Mapping):
                if value or key != "metadata":
                    _write(group.create_group(inner[-1]), value, inner)
                continue
            _write_value(group, inner[-1], value)
        except NIRGraphError:
            raise
        except (TypeError, ValueError, RuntimeError) as error:
            raise NIRGraphError(
                f"{type(value).__name__} cannot be written to a file ({error})",
                node=node,
                field=field,
            ) from error


def _write_value(group: Any, key: str, value: Any) -> None:
    if value is None:
        raise TypeError("missing shapes are filled in by sj-nir convert")
    array = np.asarray(value)
    if array.dtype.kind == "U":
        group.create_dataset(key, data=array.astype(object), dtype=h5py.string_dtype())
    elif isinstance(value, np.ndarray) and value.ndim and array.dtype.kind != "O":
        group.create_dataset(key, data=value, compression="gzip")
    else:
        group.create_dataset(key, data=value)


def _place(way: tuple[str, ...]) -> tuple[str | None, str | None]:
    """Node and field; the names in `way` are `nodes NAME nodes NAME ... FIELD`."""
    nodes, rest = [], list(way)
    while len(rest) > 1 and rest[0] == "nodes":
        nodes.append(rest[1])
        rest = rest[2:]
    if not nodes:
        return None, "/".join(rest) or "node"
    return "/".join(nodes), "/".join(rest) or None
