"""Where in a config we are while its components are built, so that errors can say it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .errors import ConfigError

__all__ = ["full_path", "is_building", "under_construction"]

# where we are: the path of keys and the arguments of each component under construction
_BUILDING: ContextVar[tuple[tuple[str, Mapping[str, Any]], ...]] = ContextVar(
    "building", default=()
)


def is_building() -> bool:
    """Whether a component is under construction."""
    return bool(_BUILDING.get())


@contextmanager
def under_construction(path: str, arguments: Mapping[str, Any], title: str) -> Iterator[None]:
    """Until the end of the block, a component with these arguments is built at `path`."""
    token = _BUILDING.set((*_BUILDING.get(), (path, arguments)))
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        if not hasattr(error, "__notes__"):
            error.add_note(f"while building {path or 'a component'} ({title})")
        raise
    finally:
        _BUILDING.reset(token)


def full_path(path: str, cfg: Any) -> str:
    """The path of `cfg`, which is at `path` in the component under construction."""
    if not is_building():
        return path
    parent, arguments = _BUILDING.get()[-1]
    if not path:  # the constructor said nothing: find the argument that it builds
        path = next((key for key, value in arguments.items() if value is cfg), "")
    return ".".join(part for part in (parent, path) if part)
