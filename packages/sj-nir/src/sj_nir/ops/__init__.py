"""NIR nodes and modules that mean the same, one file per kind; see `table` for the lookup."""

from . import (
    averaging,
    conv,
    current_based,
    delay,
    elementwise,
    flatten,
    integrate,
    leaky,
    linear,
    pool,
)
from .table import ImportOptions, Op, Site, op_of_module, op_of_node, register_op

__all__ = [
    "ImportOptions",
    "Op",
    "Site",
    "averaging",
    "conv",
    "current_based",
    "delay",
    "elementwise",
    "flatten",
    "integrate",
    "leaky",
    "linear",
    "op_of_module",
    "op_of_node",
    "pool",
    "register_op",
]
