"""NIR files: HDF5 under any suffix, read with errors that name node and field, written whole.

/version                     writer's version, may be absent
/node/{type,nodes,edges}     the graph; /node/nodes/NAME/{type,FIELD,...,metadata}
"""

from __future__ import annotations

import dataclasses
import io
import os
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nir
import numpy as np

from .errors import NIRError, NIRFileError, NIRGraphError
from .hdf5 import read_tree, write_tree
from .nesting import SEPARATOR
from .topology import in_flow_order

__all__ = ["atomic_path", "read_graph", "write_graph"]

_TYPES: dict[str, type[nir.NIRNode]] = {
    kind.__name__: kind
    for kind in vars(nir).values()
    if isinstance(kind, type) and issubclass(kind, nir.NIRNode) and kind is not nir.NIRNode
}
_BASE_FIELDS = {"input_type", "output_type", "metadata"}
# what constructors of the nir library raise
_UNFIT = (
    ValueError, AssertionError, TypeError, AttributeError, LookupError, ArithmeticError,
)  # fmt: skip
_OPTIONAL = {"input_shape", "v_reset", "w_in"}  # absent in older files


def read_graph(path: str | os.PathLike[str]) -> nir.NIRGraph:
    """Read a NIR file of any version; its nodes come in the order in which values flow.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: the path cannot be opened.
        NIRFileError: not HDF5, damaged, no NIR graph in it, or it declares more data than it can
            hold, or leads to other places by links.
        NIRGraphError: an unknown node type, a missing, unknown or unreadable field.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such file")
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder; give a file")
    if not file.is_file():  # opening a pipe would wait for ever
        raise NIRFileError(f"{file}: HDF5 can only be read from a regular file")
    tree = read_tree(file, "node")
    if not isinstance(tree, dict) or not _is(tree.get("type"), "NIRGraph"):
        raise NIRFileError(f"{file}: HDF5, but there is no NIR graph under /node")
    return _graph(tree, None)


def write_graph(path: str | os.PathLike[str], graph: nir.NIRGraph) -> None:
    """Write a graph as HDF5; an existing file is replaced only by a complete one.

    Raises:
        FileNotFoundError, PermissionError, IsADirectoryError: the folder cannot be written to.
        NIRError: the disk is full.
        NIRGraphError: something in the graph has no place in a file; names node and field.
    """
    whole = io.BytesIO()  # HDF5 ends the process when it closes a file on a full disk
    write_tree(whole, "node", graph.to_dict(), nir.version)
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(whole.getbuffer())


# reading


def _graph(tree: Mapping[str, Any], path: str | None) -> nir.NIRGraph:
    nodes, edges = tree.get("nodes"), tree.get("edges")
    if not isinstance(nodes, dict):
        raise NIRGraphError("the graph has no group of nodes", node=path, field="nodes")
    if not isinstance(edges, np.ndarray) or (edges.size and edges.shape[1:] != (2,)):
        raise NIRGraphError("expected pairs of node names", node=path, field="edges")
    pairs = [(str(source), str(target)) for source, target in edges.reshape(-1, 2)]
    inside = "" if path is None else f"{path}{SEPARATOR}"
    made = {key: _node(value, inside + key) for key, value in nodes.items()}
    return nir.NIRGraph(
        nodes={name: made[name] for name in _in_flow_order(made, pairs)},
        edges=pairs,
        metadata=_metadata(tree, path),
        type_check=False,
    )


def _in_flow_order(names: Collection[str], edges: list[tuple[str, str]]) -> tuple[str, ...]:
    """A file has them by alphabet, `_10` before `_2`."""
    sources: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        if source in names and target in names:
            sources[target].append(source)
    mentioned = (name for edge in edges for name in edge if name in names)
    return in_flow_order(dict.fromkeys([*mentioned, *names]), sources)


def _is(value: Any, text: str) -> bool:
    return isinstance(value, str) and value == text


def _metadata(tree: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    found = tree.get("metadata", {})
    if not isinstance(found, dict):
        raise NIRGraphError("expected a group of entries", node=name, field="metadata")
    return found


def _node(tree: Any, name: str) -> nir.NIRNode:
    kind = tree.get("type") if isinstance(tree, dict) else None
    if not isinstance(kind, str):
        raise NIRGraphError("has no type", node=name, field="type")
    if kind not in _TYPES:
        raise NIRGraphError(
            f"unknown type {kind!r}; known are {', '.join(sorted(_TYPES))}", node=name, field="type"
        )
    if kind == "NIRGraph":
        return _graph(tree, name)
    values = {key: value for key, value in tree.items() if key not in ("type", "metadata")}
    for field, value in values.items():
        _check_value(value, name, field)
    node_class: Any = _TYPES[kind]
    arguments = _arguments(node_class, values, name)
    try:
        return node_class(**arguments, metadata=_metadata(tree, name))
    except _UNFIT as error:
        shapes = ", ".join(f"{key} {np.shape(value)}" for key, value in arguments.items())
        raise NIRGraphError(
            f"the fields of this {kind} do not fit together: {error} ({shapes})", node=name
        ) from error


def _check_value(value: Any, name: str, field: str) -> None:
    """Fields are numbers, and a padding may be a word."""
    if isinstance(value, dict):
        raise NIRGraphError("expected numbers, got a group", node=name, field=field)
    if isinstance(value, str) and field == "padding":
        return
    if np.asarray(value).dtype.kind not in "biuf":
        raise NIRGraphError(f"expected numbers, got {value!r}", node=name, field=field)


def _arguments(kind: type[nir.NIRNode], values: dict[str, Any], name: str) -> dict[str, Any]:
    """What the constructor of `kind` takes, from what the file has."""
    if kind in (nir.Input, nir.Output):
        side = "input" if kind is nir.Input else "output"
        _check_names(values, {"shape"}, set(), kind, name)
        return {f"{side}_type": {side: values["shape"]}}
    expected = {field.name for field in dataclasses.fields(kind)} - _BASE_FIELDS
    if kind is nir.Flatten:
        _check_names(values, expected, {"input_type"}, kind, name)
        return {**values, "input_type": {"input": values.get("input_type")}}
    optional = expected & _OPTIONAL
    _check_names(values, expected - optional, optional, kind, name)
    if "input_shape" in optional:
        return {"input_shape": None, **values}
    return values


def _check_names(
    values: dict[str, Any], needed: set[str], optional: set[str], kind: type, name: str
) -> None:
    missing, unknown = needed - values.keys(), values.keys() - needed - optional
    for field in sorted(missing):
        raise NIRGraphError(f"is missing; {kind.__name__} needs it", node=name, field=field)
    for field in sorted(unknown):
        known = ", ".join(sorted(needed | optional))
        raise NIRGraphError(f"{kind.__name__} has only {known}", node=name, field=field)


# writing


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path in the folder of `target` that replaces it when the block ends well."""
    folder = target.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{target}: folder {folder} does not exist; create it first")
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; give a file name")
    if target.exists() and not target.is_file():
        raise PermissionError(f"{target}: is a device or pipe, which a file must not replace")
    temporary = folder / f".{target.name[:20]}.{secrets.token_hex(6)}"
    try:
        # os.open, not mkstemp: the finished file gets the user's usual permissions
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise PermissionError(f"{target}: folder {folder} is not writable ({error})") from error
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise NIRError(f"{target}: could not be written ({error})") from error
    finally:
        temporary.unlink(missing_ok=True)
