"""How a graph is stepped: what NIR leaves open, decided by arguments, metadata or NIR's text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
from numpy.typing import DTypeLike

from ..errors import NIRGraphError

__all__ = [
    "DEFAULT_DT",
    "Rule",
    "recorded_dt",
    "recorded_names",
    "recorded_number",
    "recorded_single",
    "recorded_word",
]

DEFAULT_DT = 1e-4
_KEY = "sj_nir"
RESETS, THRESHOLDS, CUTS = ("hard", "soft"), (">", ">="), ("neuron", "current")


@dataclass(frozen=True)
class Rule:
    """The rule of one step.

    Args:
        dt: seconds per step.
        if_dt: seconds per step of IF nodes.
        reset: `'hard'` or `'soft'` for all neurons, `None` for what the graph says.
        threshold: `'>'` or `'>='` for all neurons, `None` for what the graph says.
        cut: where the one-step delay of a loop sits.
        dtype: of the arithmetic.
    """

    dt: float
    if_dt: float
    reset: str | None
    threshold: str | None
    cut: str
    dtype: np.dtype[Any]

    @classmethod
    def of(
        cls,
        graph: nir.NIRGraph,
        dt: float | None,
        if_dt: float | None = None,
        reset: str | None = None,
        threshold: str | None = None,
        cut: str = "neuron",
        dtype: DTypeLike = np.float64,
    ) -> Rule:
        """The rule from the arguments of :func:`sj_nir.interpret`.

        Raises:
            ValueError, TypeError: an argument out of range.
        """
        if dt is None:
            dt = recorded_dt(graph)
        step = _seconds("dt", DEFAULT_DT if dt is None else dt)
        kind = np.dtype(dtype)
        if kind.kind != "f":
            raise TypeError(f"dtype must be a floating-point type, got {kind}")
        return cls(
            dt=step,
            if_dt=step if if_dt is None else _seconds("if_dt", if_dt),
            reset=_one_of("reset", reset, (None, *RESETS)),
            threshold=_one_of("threshold", threshold, (None, *THRESHOLDS)),
            cut=_one_of("cut", cut, CUTS),
            dtype=kind,
        )


def _seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating):
        raise TypeError(f"{name} must be a number of seconds, got {value!r}")
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be a positive number of seconds, got {value}")
    return float(value)


def _one_of(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, got {value!r}")
    return value


# what this package writes into the metadata of nodes and graphs


def _entry(node: nir.NIRNode, entry: str) -> Any:
    metadata = getattr(node, "metadata", None)
    record = metadata.get(_KEY) if isinstance(metadata, Mapping) else None
    return record.get(entry) if isinstance(record, Mapping) else None


def recorded_word(node: nir.NIRNode, name: str, entry: str, choices: tuple[str, ...]) -> str | None:
    """The word stored as `entry`, `None` if there is none.

    Raises:
        NIRGraphError: it is not one of `choices`.
    """
    value = _entry(node, entry)
    if value is None or (isinstance(value, str) and value in choices):
        return value
    raise NIRGraphError(
        f"expected one of {choices}, got {value!r}", node=name, field=f"metadata/{_KEY}/{entry}"
    )


def recorded_number(node: nir.NIRNode, name: str | None, entry: str) -> np.ndarray | None:
    """The number or array stored as `entry`, `None` if there is none.

    Raises:
        NIRGraphError: it holds no finite numbers.
    """
    value = _entry(node, entry)
    if value is None:
        return None
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        raise NIRGraphError(
            f"expected finite numbers, got {value!r}", node=name, field=f"metadata/{_KEY}/{entry}"
        )
    return numbers.astype(np.float64)


def recorded_single(node: nir.NIRNode, name: str | None, entry: str) -> float | None:
    """The one number stored as `entry`, `None` if there is none.

    Raises:
        NIRGraphError: it is not one finite number.
    """
    numbers = recorded_number(node, name, entry)
    if numbers is None:
        return None
    if numbers.size != 1:
        raise NIRGraphError(
            f"expected one number, got shape {numbers.shape}",
            node=name,
            field=f"metadata/{_KEY}/{entry}",
        )
    return float(numbers.reshape(-1)[0])


def recorded_names(node: nir.NIRNode, entry: str) -> tuple[str, ...]:
    """The names stored as keys under `entry`."""
    value = _entry(node, entry)
    return tuple(value) if isinstance(value, Mapping) else ()


def recorded_dt(graph: nir.NIRGraph) -> float | None:
    """The seconds per step that the graph's metadata state.

    Raises:
        NIRGraphError: it is not a positive number.
    """
    value = recorded_single(graph, None, "dt")
    if value is not None and value <= 0:
        raise NIRGraphError(
            f"expected a positive number of seconds, got {value}", field=f"metadata/{_KEY}/dt"
        )
    return value
