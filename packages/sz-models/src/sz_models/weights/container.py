"""The two containers that ``torch.save`` writes, read without running anything from them.

since torch 1.6   a zip with <root>/data.pkl and one entry <root>/data/<key> per storage
before            five pickles in a row (magic number, format, machine, content, keys), then
                  every storage as an 8-byte count of elements and the elements
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from .inert import InertUnpickler, Storage, StoredTensor

__all__ = ["StoredTensors", "read_container"]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_FORMAT = 1001


class StoredTensors:
    """Tensors of a file from their storages ``{key: elements [n]}``."""

    def __init__(self, storages: Mapping[str, Tensor]) -> None:
        self._storages = storages

    def tensor(self, stored: StoredTensor) -> Tensor:
        """A copy of one tensor, with its shape and element type.

        Raises:
            ValueError: it leaves its storage, or has more elements than that.
        """
        elements = self._storages[stored.storage.key]
        shape, strides = stored.shape, stored.strides
        if len(shape) != len(strides):
            raise ValueError("a tensor has as many strides as dimensions")
        count = math.prod(shape)
        last = stored.offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if count > len(elements) or (count and last >= len(elements)):
            raise ValueError("a tensor leaves its storage")
        if not count:
            return elements.new_empty(shape)
        return elements.as_strided(shape, strides, stored.offset).clone(
            memory_format=torch.contiguous_format
        )


def read_container(source: Path) -> tuple[Any, StoredTensors]:
    """The content of a file, with stand-ins for everything but tensors and plain containers.

    Raises:
        ValueError: not a file that ``torch.save`` wrote, or a damaged one.
        OSError: it cannot be read.
    """
    with open(source, "rb") as file:
        try:
            read = _read_zip if zipfile.is_zipfile(file) else _read_legacy
            file.seek(0)
            return read(file)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # a damaged or hostile pickle can raise anything
            raise ValueError(f"{source} is not a readable weight file: {error}") from error


def _read_zip(file: IO[bytes]) -> tuple[Any, StoredTensors]:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        roots = [n.removesuffix("data.pkl") for n in names if n.endswith("/data.pkl")]
        if len(roots) != 1:
            raise ValueError("the archive holds no data.pkl")
        root = roots[0]
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("the archive is compressed, which torch.save never does")
        order = f"{root}byteorder"
        if order in names and archive.read(order).decode() != sys.byteorder:
            raise ValueError("written on a machine of the other byte order")
        unpickler = InertUnpickler(io.BytesIO(archive.read(f"{root}data.pkl")))
        content = unpickler.load()
        storages = {
            key: _elements(storage, archive.read(f"{root}data/{key}"))
            for key, storage in unpickler.storages.items()
        }
    return content, StoredTensors(storages)


def _read_legacy(file: IO[bytes]) -> tuple[Any, StoredTensors]:
    if InertUnpickler(file).load() != _LEGACY_MAGIC:
        raise ValueError("not a file of torch.save")
    if InertUnpickler(file).load() != _LEGACY_FORMAT:
        raise ValueError("an unknown format of torch.save")
    machine = InertUnpickler(file).load()
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ValueError("written on a machine of another byte order")
    unpickler = InertUnpickler(file)
    content = unpickler.load()
    storages: dict[str, Tensor] = {}
    for key in InertUnpickler(file).load():
        storage = unpickler.storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        if count != storage.size:
            raise ValueError("a storage of another length than announced")
        storages[key] = _elements(storage, file.read(storage.size * storage.dtype.itemsize))
    if storages.keys() != unpickler.storages.keys():
        raise pickle.UnpicklingError("storages are missing")
    return content, StoredTensors(storages)


def _elements(storage: Storage, content: bytes) -> Tensor:
    n_bytes = storage.size * storage.dtype.itemsize
    if len(content) != n_bytes:
        raise ValueError(f"a storage has {len(content)} bytes instead of {n_bytes}")
    if not n_bytes:
        return torch.empty(0, dtype=storage.dtype)
    return torch.frombuffer(bytearray(content), dtype=storage.dtype)
