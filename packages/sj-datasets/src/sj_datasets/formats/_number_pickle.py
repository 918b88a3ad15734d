"""Reading pickled arrays of nested number lists without running anything the pickle asks for.

A pickle is a program. This one may build only numbers, text, lists, tuples and arrays of numbers:
the opcodes are checked one by one before they run, the few names that numpy's arrays need stand
for classes below that merely keep their arguments, and every other name is refused.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import re
from typing import Any

import numpy as np

from ..errors import FormatError

__all__ = ["PickledArray", "load_pickled_array"]

_LENGTH_BYTES = {
    b"\x8a": 1,  # long integer
    b"C": 1,  # bytes
    b"U": 1,  # text, as Python 2 wrote it
    b"\x8c": 1,  # text
    b"B": 4,
    b"T": 4,
    b"X": 4,
    b"\x8e": 8,
}
_FRAME, _GLOBAL, _STOP = b"\x95", b"c", b"."
_NAME = re.compile(rb"c[\w.]{1,100}\n[\w.]{1,100}\n")
_NUMBER = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")


def load_pickled_array(path: str | os.PathLike[str], data: bytes, start: int) -> PickledArray:
    """The array whose pickle begins at byte ``start`` and ends with ``data``.

    Raises:
        FormatError: an opcode or a name that such an array does not need, or a broken pickle.
    """
    _check_opcodes(path, data, start)
    try:
        array = _Unpickler(io.BytesIO(data[start:]), encoding="latin-1").load()
    except Exception as error:  # a broken pickle raises nearly everything
        raise FormatError(path, f"expected a pickle of number lists ({error})", start) from error
    if not isinstance(array, PickledArray) or array.values is None:
        raise FormatError(path, f"expected a pickled array, got {type(array).__name__}", start)
    return array


def _plain_opcodes(size: int) -> re.Pattern[bytes]:
    """Any number of opcodes of fixed length; memo indices stay below about ``size``.

    An index makes the unpickler reserve a table of that length.
    """
    top = max(size.bit_length() - 1, 0) // 8
    highest = re.escape(bytes([size >> 8 * top & 0xFF]))
    index = b"." * min(top, 4) + b"[\\x00-" + highest + b"]" + b"\\x00" * (3 - top)
    long_1 = b"|".join(b"\\x%02x.{%d}" % (n, n) for n in range(1, 9))
    return re.compile(
        b"(?:[\\x85\\x86\\x87\\x94ta(e)\\]lNRb\\x88\\x89\\x93]|[Khq].|M..|J.{4}"
        b"|\\x8a(?:" + long_1 + b")|C(?:" + long_1 + b")|G.{8}|j.{4}|\\x80[\\x00-\\x05]"
        b"|r" + index + b")*+",
        re.DOTALL,
    )


def _check_opcodes(path: str | os.PathLike[str], data: bytes, start: int) -> None:
    plain = _plain_opcodes(len(data))
    position = start
    while True:
        match = plain.match(data, position)
        position = match.end() if match else position
        opcode = data[position : position + 1]
        if opcode == _STOP and position == len(data) - 1:
            return
        if opcode in _LENGTH_BYTES or opcode == _FRAME:
            body = position + 1 + _LENGTH_BYTES.get(opcode, 8)
            end = body + int.from_bytes(data[position + 1 : body], "little")
            if end <= len(data):
                position = body if opcode == _FRAME else end
                continue
        elif opcode == _GLOBAL and (name := _NAME.match(data, position)):
            position = name.end()
            continue
        raise FormatError(
            path,
            "expected a pickle of number lists to its end, got opcode "
            f"{opcode!r} with {len(data) - position - 1} bytes after it",
            position,
        )


class _DType:
    """Stands for ``numpy.dtype``: a plain number type, or ``None`` for Python objects."""

    def __init__(self, name: str, *_: object) -> None:
        self.dtype = None
        if not re.fullmatch("O[48]?", name):
            if not _NUMBER.fullmatch(name):
                raise ValueError(f"expected numbers, got type {name!r}")
            self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if self.dtype is not None and state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """Stands for ``numpy.ndarray``; ``values`` is a list of objects or an array of numbers."""

    def __init__(self, *_: object) -> None:
        self.shape: tuple[int, ...] = ()
        self.values: list[Any] | np.ndarray[Any, Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran_order, content = state
        if not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"expected a shape, got {shape!r}")
        self.shape = tuple(shape)
        if kind.dtype is None:
            if type(content) is not list or len(content) != math.prod(shape):
                raise ValueError(f"expected a list of {math.prod(shape)} objects")
            self.values = content
        else:
            flat = np.frombuffer(_as_bytes(content), kind.dtype)
            # at least one axis: an array of one number has no length
            self.values = np.atleast_1d(flat.reshape(shape, order="F" if fortran_order else "C"))


class _Scalar:
    """Stands for the function that makes numpy's scalars; gives Python's numbers."""

    def __new__(cls, kind: _DType, content: bytes | str) -> Any:
        if kind.dtype is None:
            raise ValueError("expected a number")
        (value,) = np.frombuffer(_as_bytes(content), kind.dtype)
        return value.item()


class _Encode:
    """Stands for ``_codecs.encode``, in which pickles of protocol 2 wrap bytes."""

    def __new__(cls, text: str, encoding: str) -> Any:
        if encoding not in ("latin1", "latin-1"):
            raise ValueError(f"expected the encoding latin1, got {encoding!r}")
        return text.encode("latin-1")


def _as_bytes(content: object) -> bytes:
    if isinstance(content, str):
        return content.encode("latin-1")
    if not isinstance(content, bytes):
        raise ValueError(f"expected bytes, got {type(content).__name__}")
    return content


_STANDS_FOR: dict[tuple[str, str], type] = {
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): PickledArray,
    ("_codecs", "encode"): _Encode,
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _STANDS_FOR[_module, "_reconstruct"] = PickledArray
    _STANDS_FOR[_module, "scalar"] = _Scalar


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _STANDS_FOR[module_name, global_name]
        except KeyError:
            raise ValueError(f"refused to load {module_name}.{global_name}") from None
