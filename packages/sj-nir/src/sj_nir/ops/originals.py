"""Fields as they were in the graph that a module was imported from.

A module may hold them in another form: rounded to float32, or divided by dt. What export would
write is therefore computed once at import; where it still is the same, export writes what the graph
had, to the last bit.
"""

from __future__ import annotations

import nir
import numpy as np
from torch import nn

__all__ = ["keep_originals", "with_originals"]

_MEMO = "nir_originals"  # attribute of a module: field -> (the graph's, what export makes of it)

Fields = dict[str, np.ndarray]


def keep_originals(module: nn.Module, node: nir.NIRNode, fields: Fields) -> None:
    """Remember the `fields` that export makes of `module`, just imported from `node`."""
    setattr(
        module,
        _MEMO,
        {key: (np.array(getattr(node, key)), value) for key, value in fields.items()},
    )


def with_originals(module: nn.Module, fields: Fields) -> Fields:
    """`fields`, with the graph's own numbers where the module has not changed since."""
    kept = getattr(module, _MEMO, {})
    return {key: _restored(value, *kept.get(key, (None, None))) for key, value in fields.items()}


def _restored(
    value: np.ndarray, original: np.ndarray | None, written: np.ndarray | None
) -> np.ndarray:
    if original is None or written is None or value.shape != written.shape:
        return value
    same = value == written
    return original.copy() if same.all() else np.where(same, original, value)
