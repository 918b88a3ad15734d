"""Reading a pickle without running anything it names.

A pickle may name any function or class and have it called.  Here only tensors, plain containers
and element types keep their meaning; every other name becomes a :class:`StandIn`, which takes any
arguments, keeps the state it is given and does nothing.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any, NoReturn, Self

import torch

__all__ = ["InertUnpickler", "StandIn", "Storage", "StoredTensor"]

_STORAGES = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
}
_DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in _STORAGES.values()}


class StandIn:
    """An object of a class that is not looked up; ``state`` is what the pickle gave it."""

    state: object = None

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Takes anything."""

    # pickle sets attributes itself where this is missing
    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        """Items of a mapping are dropped."""

    def append(self, value: object) -> None:
        """Items of a list are dropped."""

    def extend(self, values: Iterable[object]) -> None:
        """Items of a list are dropped."""

    def add(self, value: object) -> None:
        """Items of a set are dropped."""


class Storage:
    """Elements kept outside the pickle, under ``key``."""

    def __init__(self, key: str, dtype: torch.dtype, size: int) -> None:
        self.key = key
        self.dtype = dtype
        self.size = size

    def __setstate__(self, state: object) -> NoReturn:
        raise pickle.UnpicklingError("a storage has no state")


@dataclass(init=False)
class StoredTensor:
    """A tensor as its storage, the first element in it, shape and strides in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    # not __init__, which a pickle can leave out
    def __new__(
        cls,
        storage: object,
        offset: object,
        shape: object,
        strides: object,
        *more: object,  # requires_grad, hooks and metadata mean nothing in a file of weights
    ) -> Self:
        if not isinstance(storage, Storage):
            raise pickle.UnpicklingError("a tensor without a storage")
        self = super().__new__(cls)
        self.storage = storage
        (self.offset,) = _sizes((offset,))
        self.shape = _sizes(shape)
        self.strides = _sizes(strides)
        return self

    def __setstate__(self, state: object) -> NoReturn:
        raise pickle.UnpicklingError("a tensor has no state")


class _Parameter:
    """Calling it gives the tensor of a parameter."""

    def __new__(cls, data: object = None, *more: object) -> Any:
        return data

    def __setstate__(self, state: object) -> NoReturn:
        raise pickle.UnpicklingError("a parameter has no state")


class _Typed(_Parameter):
    """Calling it gives a tensor that was saved with its class and attributes."""

    def __new__(cls, build: object = None, kind: object = None, args: Any = (), *more: object):
        if build is not StoredTensor and build is not _Parameter:
            raise pickle.UnpicklingError("a tensor of an unknown kind")
        return build(*args)


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_tensor"): StoredTensor,
    ("torch._utils", "_rebuild_tensor_v2"): StoredTensor,
    ("torch._utils", "_rebuild_parameter"): _Parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _Parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _Typed,
}


class InertUnpickler(pickle.Unpickler):
    """Unpickles with stand-ins; ``storages`` holds those the tensors refer to, by key."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, Storage] = {}
        self._stand_ins: dict[tuple[str, str], type[StandIn]] = {}

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """What a name stands for; nothing is imported."""
        place = (module_name, global_name)
        if place in _KNOWN:
            return _KNOWN[place]
        if module_name in ("torch", "torch.cuda") and global_name in _STORAGES:
            return _STORAGES[global_name]
        if module_name == "torch" and global_name in _DTYPES:
            return _DTYPES[global_name]
        if place not in self._stand_ins:
            name = global_name.rpartition(".")[2]
            name = name if name.isidentifier() else "Unnamed"
            self._stand_ins[place] = type(name, (StandIn,), {})
        return self._stand_ins[place]

    def persistent_load(self, pid: Any, /) -> Any:
        """A storage, or a class that was saved with its source (which is dropped)."""
        fields: list[Any] = list(pid) if isinstance(pid, tuple) else []
        if len(fields) > 1 and fields[0] == "module":
            return fields[1]
        if len(fields) not in (5, 6) or fields[0] != "storage":
            raise pickle.UnpicklingError("an unknown kind of reference")
        _, dtype, key, _, size, *view = fields
        if not isinstance(dtype, torch.dtype) or any(part is not None for part in view):
            raise pickle.UnpicklingError("an unknown kind of storage")
        (size,) = _sizes((size,))
        storage = self.storages.setdefault(str(key), Storage(str(key), dtype, size))
        if (storage.dtype, storage.size) != (dtype, size):
            raise pickle.UnpicklingError("a storage of two kinds")
        return storage


def _sizes(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple) or any(type(v) is not int or v < 0 for v in values):
        raise pickle.UnpicklingError("sizes of a tensor must be whole numbers, not negative")
    return values
