"""Arrays of variable length in HDF5 files, read past the library.

The library hangs or crashes on some damaged heaps and takes a tenth of a millisecond per array.
A data set of such arrays holds one reference per array:

    uint32 length, uint64 address of a heap, uint32 index in it

and a heap is b"GCOL", a version byte 1, 3 zero bytes, uint64 size, then objects of

    uint16 index, uint16 references, 4 bytes, uint64 size, data padded to 8 bytes

up to its size, or to the index 0.  All numbers are little-endian.
"""

from __future__ import annotations

import os
import struct
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError

if TYPE_CHECKING:
    import h5py

__all__ = ["HeapFile", "VlenColumn", "vlen_column"]

_REFERENCE = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
_HEAP = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HHIQ")
_SMALL = 4096  # usual size of a heap of small arrays


class HeapFile:
    """A file that several columns read from, from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  # kept open
        # forgotten readers are closed without a warning, as those of the library are
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        self.size = os.fstat(self._file.fileno()).st_size

    def read(self, offset: int, count: int) -> bytes:
        """Bytes at an offset.

        Raises:
            FormatError: the file ends before.
        """
        if offset + count > self.size:
            raise FormatError(
                self.path, f"{count} bytes expected, the file has {self.size}", offset
            )
        with self._lock:
            self._file.seek(offset)
            data = b""
            while len(data) < count and (more := self._file.read(count - len(data))):
                data += more
        if len(data) < count:
            raise FormatError(self.path, f"{count} bytes expected, the file was cut", offset)
        return data

    def close(self) -> None:
        self._file.close()


class VlenColumn:
    """Arrays by number; see :func:`vlen_column`."""

    def __init__(self, file: HeapFile, references: NDArray[np.void], dtype: np.dtype[Any]) -> None:
        self._file = file
        self._references = references
        self._dtype = dtype

    def __len__(self) -> int:
        return len(self._references)

    def __getitem__(self, index: int) -> NDArray[Any]:
        """Array ``[N]`` of its own.

        Raises:
            FormatError: the reference leads to no array of its length.
        """
        length, address, number = self._references[index].tolist()
        if not length:
            return np.empty(0, self._dtype)
        size = length * self._dtype.itemsize
        start = self._find(address, number, size)
        return np.frombuffer(bytearray(self._file.read(start, size)), self._dtype)

    def _find(self, address: int, number: int, size: int) -> int:
        """Where the data of an object of a heap begin."""
        path = self._file.path
        signature, version, heap_size = _HEAP.unpack(self._file.read(address, _HEAP.size))
        if signature != b"GCOL" or version != 1 or address + heap_size > self._file.size:
            raise FormatError(path, "expected a heap of arrays", address)
        head = self._file.read(address, min(heap_size, _SMALL)) if heap_size else b""
        offset = _HEAP.size
        while offset + _OBJECT.size <= heap_size:
            if offset + _OBJECT.size <= len(head):
                found, _, _, object_size = _OBJECT.unpack_from(head, offset)
            else:
                data = self._file.read(address + offset, _OBJECT.size)
                found, _, _, object_size = _OBJECT.unpack(data)
            offset += _OBJECT.size
            if not found:
                break
            if offset + object_size > heap_size:
                raise FormatError(path, "an array leaves its heap", address + offset)
            if found == number:
                if object_size != size:
                    message = f"an array of {size} bytes expected, {object_size} are there"
                    raise FormatError(path, message, address + offset)
                return address + offset
            offset += -(-object_size // 8) * 8
        raise FormatError(path, f"the heap has no array {number}", address)


def vlen_column(file: HeapFile, dataset: h5py.Dataset, element: np.dtype[Any]) -> VlenColumn | None:
    """The arrays of a one-dimensional data set; ``None`` if its references are stored otherwise.

    Args:
        file: the file of the data set.
        dataset: arrays of variable length.
        element: type of the arrays' elements.
    """
    import h5py

    properties = dataset.id.get_create_plist()
    if dataset.file.userblock_size or dataset.id.get_type().get_size() != _REFERENCE.itemsize:
        return None
    references = np.zeros(len(dataset), _REFERENCE)
    if properties.get_layout() == h5py.h5d.CONTIGUOUS:
        offset = dataset.id.get_offset()
        if offset is not None and references.nbytes:  # else nothing was ever written
            references[:] = np.frombuffer(file.read(offset, references.nbytes), _REFERENCE)
        return VlenColumn(file, references, element)
    if properties.get_layout() != h5py.h5d.CHUNKED or properties.get_nfilters():
        return None
    chunks: list[Any] = []
    dataset.id.chunk_iter(chunks.append)
    for chunk in chunks:
        first = int(chunk.chunk_offset[0])
        count = min(int(properties.get_chunk()[0]), len(references) - first)
        size = max(count, 0) * _REFERENCE.itemsize
        if chunk.size < size:
            raise FormatError(file.path, f"a chunk of {dataset.name} is too small", first)
        data = file.read(chunk.byte_offset, size)
        references[first : first + max(count, 0)] = np.frombuffer(data, _REFERENCE)
    return VlenColumn(file, references, element)
