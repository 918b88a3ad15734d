"""What NIR's fields cannot say, kept in the metadata of nodes and graphs under the key `sj_nir`.

On a graph
    format  1
    dt      seconds per step of the exported network

On any node
    lost      what the module did that the node does not, exported with `strict=False`
    shared    name of an earlier node of the same layer, which `forward` calls more than once
    quantised {field: {bits, per}}: how `sj_nir.targets.quantise` rounded the node's fields
    delayed   {source: 1} for each edge to the node on which values of the step before travel, where
              the rule for graphs from elsewhere would delay other edges of the loop

On an Input or Output that is not the only one
    position  its place among the arguments or results of `forward`

On a neuron
    reset         'hard', or 'soft': v <- v - (v_threshold - v_reset)
    fire          '>=' or '>': whether a potential equal to the threshold fires; also on Threshold
    dt            seconds per step
    v_init        potential before the first step, a number or one per neuron, where it is not
                  v_reset (v_leak for LI and CubaLI, 0 for I)
    per_neuron    true if the module was one of `sj_nir.modules`
    tau           time constant in steps, exactly as the module had it (LIF)
    decay_input   whether the input is divided by tau (LIF)
    c_decay, v_decay   decay factors, exactly as the module had them (CubaLIF)
    detach_reset  true if the reset is left out of the gradient
    surrogate     {name, parameters}: class of `sj_neurons.surrogate`, where it is not
                  Sigmoid(alpha=4); also on Threshold

The exact numbers count only while the fields still agree with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nir
import numpy as np

from .errors import NIRGraphError

__all__ = ["FORMAT", "KEY", "LOST", "choice_in", "flag_in", "number_in", "numbers_in", "record_of"]

KEY = "sj_nir"
FORMAT = 1
LOST = "lost"


def record_of(node: nir.NIRNode) -> Mapping[str, Any]:
    """The entries under our key, empty for graphs from elsewhere."""
    metadata = getattr(node, "metadata", None)
    record = metadata.get(KEY) if isinstance(metadata, Mapping) else None
    return record if isinstance(record, Mapping) else {}


def choice_in(node: nir.NIRNode, name: str, entry: str, choices: tuple[str, ...]) -> str | None:
    """The text stored as `entry`, `None` if there is none.

    Raises:
        NIRGraphError: it is not one of `choices`.
    """
    value = record_of(node).get(entry)
    if value is None or (isinstance(value, str) and value in choices):
        return value
    raise _expected(f"one of {choices}", value, name, entry)


def number_in(node: nir.NIRNode, name: str, entry: str) -> float | None:
    """The number stored as `entry`, `None` if there is none.

    Raises:
        NIRGraphError: it is not a finite number.
    """
    values = numbers_in(node, name, entry)
    if values is None:
        return None
    if values.ndim:
        raise _expected("a number", values, name, entry)
    return float(values)


def numbers_in(node: nir.NIRNode, name: str, entry: str) -> np.ndarray | None:
    """The number or array stored as `entry`, `None` if there is none.

    Raises:
        NIRGraphError: not all of it is finite numbers.
    """
    value = record_of(node).get(entry)
    if value is None:
        return None
    try:
        values = np.asarray(value).astype(np.float64)
    except (TypeError, ValueError):
        raise _expected("a number", value, name, entry) from None
    if not np.isfinite(values).all():
        raise _expected("finite numbers", value, name, entry)
    return values


def flag_in(node: nir.NIRNode, name: str, entry: str, default: bool = False) -> bool:
    """Whether `entry` is stored and true; `default` if it is not stored.

    Raises:
        NIRGraphError: it is neither true nor false.
    """
    value = record_of(node).get(entry, default)
    if isinstance(value, bool | int | np.bool_ | np.integer) and value in (0, 1):
        return bool(value)
    raise _expected("true or false", value, name, entry)


def _expected(what: str, value: Any, name: str, entry: str) -> NIRGraphError:
    field = f"metadata/{KEY}/{entry}"
    return NIRGraphError(f"expected {what}, got {value!r}", node=name, field=field)
