"""Inputs and outputs of runs in files: numpy's .npy and .npz, and the data format of nir 1.0.8.

NIR data are `[samples, steps, neurons]` on a grid of dt, or events of neurons at times; neurons are
the elements of a sample in their order in memory.
"""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from ..files import atomic_path
from ..hdf5 import read_tree
from ..interpreter import Program
from .options import InputError

__all__ = ["DATA_SUFFIXES", "read_inputs", "write_outputs"]

DATA_SUFFIXES = (".h5", ".hdf5")
# what reading damaged data raises
_DAMAGED = (
    ValueError, TypeError, AttributeError, LookupError, OSError, EOFError, RuntimeError,
    ArithmeticError, MemoryError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_MOST_NUMBERS = 1 << 28  # that events may spread over
_OBSERVABLES = ("spikes", "output", "input")  # names under which an Input's values are looked for


def read_inputs(path: str, program: Program, dt: float) -> tuple[dict[str, np.ndarray], bool]:
    """`[T, B, *]` for each Input, and whether the file had the axis B.

    Raises:
        FileNotFoundError: no such file.
        InputError: not readable, or arrays that do not fit the graph.
    """
    names = program.graph.inputs
    if Path(path).suffix.lower() in DATA_SUFFIXES:
        return _from_nir_data(path, program, dt), True
    arrays = _from_numpy(path)
    if None in arrays or (len(arrays) == len(names) == 1):
        (values,) = arrays.values()
        arrays = dict.fromkeys(names, values) if len(names) == 1 else {}
    if set(arrays) != set(names):
        raise InputError(f"{path}: expected a .npz file with the arrays {', '.join(names)}")
    axes = {arrays[name].ndim - len(program.shapes[name]) for name in names}
    if axes not in ({1}, {2}):
        shapes = ", ".join(f"{name} [T, N, {_shown(program.shapes[name])}]" for name in names)
        raise InputError(f"{path}: expected {shapes} or the same without N")
    batched = axes == {2}
    found = {str(n): value if batched else value[:, None] for n, value in arrays.items()}
    return found, batched


def _shown(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _from_numpy(path: str) -> dict[str | None, np.ndarray]:
    """Arrays by name; the one of a .npy file under `None`."""
    try:
        content: Any = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return {None: _numbers(content)}
        with content:
            return {name: _numbers(content[name]) for name in content.files}
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except _DAMAGED as error:
        raise InputError(f"{path}: not a readable .npy or .npz file ({error})") from error


def _numbers(values: Any) -> np.ndarray:
    kind = getattr(values, "dtype", np.dtype(object))
    if kind.kind not in "biuf":
        raise ValueError(f"expected arrays of real numbers, got {kind}")
    return values.astype(np.float64)


def _from_nir_data(path: str, program: Program, dt: float) -> dict[str, np.ndarray]:
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        read_tree(Path(path), "nodes")  # the nir library trusts what a file declares
        return _data_of_inputs(nir.read_data(path).nodes, path, program, dt)
    except InputError:
        raise
    except _DAMAGED as error:
        raise InputError(f"{path}: not a readable file of NIR data ({error})") from error


def _data_of_inputs(
    nodes: Mapping[str, Any], path: str, program: Program, dt: float
) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name in program.graph.inputs:
        node = nodes.get(name)
        if not isinstance(node, nir.NIRNodeData):
            raise InputError(f"{path}: no data for the Input {name!r}")
        chosen = [key for key in _OBSERVABLES if key in node.observables] or [*node.observables]
        if not chosen:
            raise InputError(f"{path}: no data for the Input {name!r}")
        grid = _on_grid(node.observables[chosen[0]], dt, path)
        shape = program.shapes[name]
        if grid.shape[2] != math.prod(shape):
            raise InputError(
                f"{path}: {grid.shape[2]} neurons for the Input {name!r} of shape {shape}"
            )
        found[name] = grid.swapaxes(0, 1).reshape(grid.shape[1], grid.shape[0], *shape)
    return found


def _on_grid(data: Any, dt: float, path: str) -> np.ndarray:
    """`[samples, steps, neurons]`; events of one neuron in one step count once, values add up."""
    if isinstance(data, nir.TimeGriddedData):
        if not math.isclose(data.dt, dt, rel_tol=1e-6):
            raise InputError(f"{path}: its steps last {data.dt:.6g} s, not dt = {dt:.6g} s")
        return _numbers(data.data)
    steps = round(data.t_max / dt)
    if not 0 < steps * data.idx.shape[0] * data.n_neurons <= _MOST_NUMBERS:
        raise InputError(
            f"{path}: events of {data.n_neurons} neurons in {data.t_max} s are {steps} steps"
        )
    grid = np.zeros((data.idx.shape[0], steps, data.n_neurons))
    sample, event = np.nonzero(data.idx >= 0)
    # a time of k dt, rounded, belongs to step k
    step = np.floor(np.clip(data.time[sample, event] / dt, -1.0, steps) + 1e-6).astype(np.int64)
    neuron = data.idx[sample, event]
    if (step < 0).any() or (step >= steps).any() or (neuron >= data.n_neurons).any():
        raise InputError(f"{path}: events outside of t_max or n_neurons")
    if isinstance(data, nir.ValuedEventData):
        np.add.at(grid, (sample, step, neuron), data.value[sample, event])
    else:
        grid[sample, step, neuron] = 1.0
    return grid


def write_outputs(path: Path, arrays: Mapping[str, np.ndarray], dt: float) -> None:
    """Write arrays by name, `[T, *]` or `[T, N, *]`; for NIR data `[T, N, *]`."""
    with atomic_path(path) as temporary:
        if path.suffix.lower() in DATA_SUFFIXES:
            _write_nir_data(temporary, arrays, dt)
            return
        # not np.savez, whose own arguments are names too
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, values in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, values, allow_pickle=False)


def _write_nir_data(path: Path, arrays: Mapping[str, np.ndarray], dt: float) -> None:
    """The layout of `nir.write_data`, which in 1.0.8 never ends on data of nested graphs."""
    with h5py.File(path, "w") as file:
        file.attrs["__type__"] = "NIRGraphData"
        file.create_group("nodes")
        for name, values in arrays.items():
            node, observable = _observable(name, values)
            group: Any = file
            *outer, inner = node.split("/")
            for part in outer:
                group = group["nodes"].require_group(part)
                group.attrs["__type__"] = "NIRGraphData"
                group.require_group("nodes")
            group = group["nodes"].require_group(inner)
            group.attrs["__type__"] = "NIRNodeData"
            grid = values.reshape(*values.shape[:2], -1).swapaxes(0, 1)
            group = group.require_group("observables").create_group(observable)
            group.attrs["__type__"], group.attrs["dt"] = "TimeGriddedData", dt
            grid = grid.astype(bool) if observable == "spikes" else grid
            group.create_dataset("data", data=grid, compression="gzip")


def _observable(name: str, values: np.ndarray) -> tuple[str, str]:
    """Node and observable of an array; its output is `spikes` where it is all 0 and 1."""
    node, dot, observable = name.rpartition(".")
    if not dot or observable not in ("out", "v", "h", "i"):
        node, observable = name, "out"
    if observable != "out":
        return node, observable
    return node, "spikes" if np.isin(values, (0, 1)).all() else "output"
