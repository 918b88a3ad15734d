"""The one table of this package: which kind of NIR node and which modules mean the same.

    Op  =  node classes  +  module classes  +  module -> node  +  node -> module  +  shape rule

A class is looked up exactly: a subclass may compute something else, so it needs a row of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import nir
import torch
from torch import nn

from ..errors import NotSupportedError

__all__ = [
    "ImportOptions",
    "Op",
    "Shape",
    "Site",
    "has_row",
    "op_of_module",
    "op_of_node",
    "register_op",
    "rows",
]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Site:
    """Where a module stands in the network that is exported.

    Args:
        name: name of the NIR node to be.
        path: dotted path of the module.
        dt: seconds per step.
        input_shape: shape of one sample at one step, no batch and no time axis.
        output_shape: the same of what comes out.
        batch_axes: axes before the sample's own, as the module counts them: 1 or 2.
        strict: whether a node that does something else than the module is an error.
        losses: what the node does otherwise than the module, if that is allowed.
    """

    name: str
    path: str
    dt: float
    input_shape: Shape
    output_shape: Shape
    batch_axes: int
    strict: bool = True
    losses: list[str] = field(default_factory=list)

    def lose(self, what: str) -> None:
        """Note that the node will differ from the module.

        Raises:
            NotSupportedError: that is not allowed.
        """
        if self.strict:
            raise NotSupportedError(what)
        self.losses.append(what)


@dataclass(frozen=True)
class ImportOptions:
    """The arguments of :func:`sj_nir.import_from_nir` that concern single nodes."""

    dt: float
    device: torch.device
    dtype: torch.dtype
    step_mode: str
    reset: str | None
    threshold: str | None
    if_dt: float | None


def _export_only(*_: Any) -> Any:
    raise TypeError("this row has no node classes, so there is nothing to import")


@dataclass(frozen=True)
class Op:
    """One row of the table.

    Args:
        nodes: NIR node classes of this row.
        modules: module classes of this row.
        to_node: `(module, site)` to node; raises :class:`sj_nir.NotSupportedError`, without naming
            the module, where NIR cannot say what the module does.
        to_module: `(node, node name, options)` to a module in the step mode of the options; may be
            left out where `nodes` is empty.
        output_shape: `(node, node name, input shape)` to output shape; raises
            :class:`sj_nir.NIRGraphError` where the input does not fit; likewise.
    """

    nodes: tuple[type[nir.NIRNode], ...]
    modules: tuple[type[nn.Module], ...]
    to_node: Callable[[Any, Site], nir.NIRNode]
    to_module: Callable[[Any, str, ImportOptions], nn.Module] = _export_only
    output_shape: Callable[[Any, str, Shape], Shape] = _export_only


_BY_NODE: dict[type[nir.NIRNode], Op] = {}
_BY_MODULE: dict[type[nn.Module], Op] = {}


def register_op(op: Op) -> None:
    """Add a row; its classes are taken over from rows that had them before.

    Raises:
        TypeError: node classes without `to_module` or `output_shape`.
    """
    if op.nodes and _export_only in (op.to_module, op.output_shape):
        raise TypeError("a row with node classes needs to_module and output_shape")
    _BY_NODE.update(dict.fromkeys(op.nodes, op))
    _BY_MODULE.update(dict.fromkeys(op.modules, op))


def rows() -> tuple[Op, ...]:
    """All rows, those with node classes first."""
    return tuple(dict.fromkeys((*_BY_NODE.values(), *_BY_MODULE.values())))


def has_row(kind: type) -> bool:
    """Whether a row lists this module class."""
    return kind in _BY_MODULE


def op_of_node(node: nir.NIRNode) -> Op | None:
    """The row of a node, `None` if there is none."""
    return _BY_NODE.get(type(node))


def op_of_module(module: nn.Module) -> Op | None:
    """The row of a module, `None` if there is none."""
    return _BY_MODULE.get(type(module))
