"""What a finished tree of samples was made from, kept in the tree as ``manifest.json``."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

from .atomic import atomic_path
from .errors import FormatError

__all__ = ["MANIFEST", "Manifest", "function_hash"]

MANIFEST = "manifest.json"
_FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """Contents of ``manifest.json``.

    Args:
        dataset: name of the dataset.
        what: how the samples were made, ``{"kind": "events"}`` or the frame settings.
        sensor_size: rows and columns (H, W).
        function: hash of a custom integrate function's source, else ``None``.
        library: version of this package that began the tree.
        splits: samples of every complete split; ``""`` is a dataset without splits.
    """

    dataset: str
    what: dict[str, Any]
    sensor_size: tuple[int, int] | None = None
    function: str | None = None
    library: str = ""
    splits: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """The manifest of ``folder``, or ``None`` where there is none.

        Raises:
            FormatError: it is damaged, or a newer version of this package wrote it.
        """
        path = folder / MANIFEST
        try:
            text = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        hint = f"delete {folder} to have it built again"
        try:
            content = json.loads(text)
            version = content.pop("format")
            if version == _FORMAT:
                size = content["sensor_size"]
                content["sensor_size"] = None if size is None else (int(size[0]), int(size[1]))
                content["splits"] = {str(k): int(n) for k, n in content["splits"].items()}
                return cls(**content)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise FormatError(path, f"damaged manifest ({error!r}); {hint}") from error
        raise FormatError(path, f"format {_FORMAT} expected, got {version!r}; {hint}")

    def write(self, folder: Path) -> None:
        text = json.dumps({"format": _FORMAT, **asdict(self)}, indent=2, sort_keys=True)
        with atomic_path(folder / MANIFEST) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")

    def check_same(self, wanted: Manifest, folder: Path) -> None:
        """Refuse a tree that was made in another way than ``wanted``.

        Raises:
            ValueError: naming what differs and what to do.
        """
        for name, text in (
            ("dataset", "dataset"),
            ("what", "settings"),
            ("sensor_size", "sensor size"),
            ("function", "source of the integrate function (hash)"),
        ):
            there, asked = getattr(self, name), getattr(wanted, name)
            if there != asked:
                other = (
                    ", or give another custom_integrated_frames_dir_name" if self.function else ""
                )
                raise ValueError(
                    f"{folder} was built with another {text}: {there} there, {asked} now; "
                    f"delete the folder{other}"
                )


def function_hash(function: Callable[..., Any]) -> str:
    """Hash that changes when the code of ``function`` or what is bound to it changes.

    Default arguments, closures, partial arguments and attributes of callable objects count;
    other functions that it calls by name do not.
    """
    digest = hashlib.sha256()
    _feed(function, digest.update)
    return digest.hexdigest()


def _feed(function: Callable[..., Any], update: Callable[[bytes], object]) -> None:
    if isinstance(function, functools.partial):
        update(b"partial")
        _feed(function.func, update)
        update(_value_bytes((function.args, sorted(function.keywords.items()))))
        return
    if inspect.ismethod(function):
        update(_value_bytes(function.__self__))
        function = function.__func__
    code = getattr(function, "__code__", None)
    if code is None and not inspect.isclass(function) and not inspect.isbuiltin(function):
        update(_value_bytes(function))  # a callable object: its class and its attributes
        function = type(function)
    try:
        if code is not None and code.co_name == "<lambda>":
            raise OSError("the lines of a lambda hold more than the lambda")
        update(inspect.getsource(function).encode())
    except (OSError, TypeError):
        if code is None:
            update(f"{function.__module__}.{function.__qualname__}".encode())
        else:
            _feed_code(code, update)
    if inspect.isfunction(function):
        update(_value_bytes((function.__defaults__, function.__kwdefaults__)))
        update(_value_bytes([_cell(c) for c in function.__closure__ or ()]))


def _feed_code(code: CodeType, update: Callable[[bytes], object]) -> None:
    update(code.co_code)
    update(repr(code.co_names).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _feed_code(constant, update)
        else:
            update(repr(_ordered(constant)).encode())


def _cell(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return None


def _value_bytes(value: object) -> bytes:
    try:
        return pickle.dumps(_ordered(value), protocol=4)
    except Exception:  # not everything bound to a function can be pickled; its type still counts
        return type(value).__qualname__.encode()


def _ordered(value: object) -> object:
    """``value`` with sets as sorted lists: the order of a set differs between processes."""
    if isinstance(value, (set, frozenset)):
        return sorted(map(repr, value))
    if isinstance(value, (list, tuple)):
        return [_ordered(item) for item in value]
    if isinstance(value, dict):
        return [(key, _ordered(item)) for key, item in value.items()]
    return value
