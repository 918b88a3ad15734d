"""What NIR's fields cannot say, kept in the metadata of nodes and graphs under the key `sj_nir`.

On a graph
    format  1
    dt      seconds per step of the exported network

On a neuron
    reset        'hard', or 'soft' (the fields v_reset and v_leak are then 0)
    fire         '>=' or '>': whether a potential equal to the threshold fires
    dt           seconds per step
    tau          time constant in steps, exactly as the module had it (LIF)
    decay_input  whether the input is divided by tau (LIF)
    v_init       potential before the first step, where it is not v_reset

`tau` and `decay_input` count only while the fields still agree with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nir

from .errors import NIRGraphError

__all__ = ["FORMAT", "KEY", "choice_in", "number_in", "record_of"]

KEY = "sj_nir"
FORMAT = 1


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
    if value is None or value in choices:
        return value
    raise NIRGraphError(
        f"expected one of {choices}, got {value!r}", node=name, field=f"metadata/{KEY}/{entry}"
    )


def number_in(node: nir.NIRNode, name: str, entry: str) -> float | None:
    """The number stored as `entry`, `None` if there is none.

    Raises:
        NIRGraphError: it is not a number.
    """
    value = record_of(node).get(entry)
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise NIRGraphError(
            f"expected a number, got {value!r}", node=name, field=f"metadata/{KEY}/{entry}"
        ) from None
