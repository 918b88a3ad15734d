"""NIR nodes and modules that mean the same, one file per kind; see `table` for the lookup."""

from . import conv, flatten, linear, neuron, pool
from .table import ImportOptions, Op, Site, op_of_module, op_of_node, register_op

__all__ = [
    "ImportOptions",
    "Op",
    "Site",
    "conv",
    "flatten",
    "linear",
    "neuron",
    "op_of_module",
    "op_of_node",
    "pool",
    "register_op",
]
