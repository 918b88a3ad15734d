"""What of a traced network counts: values that reach the output, and values changed in place."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx, nn

import sj_layers as layer

__all__ = ["REMOVED", "drop_unused", "overwriting"]

REMOVED = (
    nn.Identity,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
    layer.Dropout,
    layer.Dropout2d,
)

_IN_PLACE: set[Any] = {operator.iadd, operator.isub, operator.imul, operator.itruediv}
_VIEWS: set[Any] = {
    torch.flatten, torch.reshape, torch.detach,
    "flatten", "reshape", "view", "contiguous", "detach",
}  # fmt: skip


def drop_unused(net: nn.Module, graph: fx.Graph) -> None:
    """Erase what does not reach the output, unless it overwrites something that does."""
    kept: set[fx.Node] = set()
    (output,) = graph.find_nodes(op="output")
    if not output.all_input_nodes:
        return  # an error, told where the outputs are made
    waiting = [output, *overwriting(net, graph)]
    while waiting:
        node = waiting.pop()
        if node not in kept:
            kept.add(node)
            waiting += node.all_input_nodes
    for node in reversed(graph.nodes):
        if node not in kept and node.op != "placeholder":
            graph.erase_node(node)


def overwriting(net: nn.Module, graph: fx.Graph) -> list[fx.Node]:
    """The operations that change a tensor in place which is read again under its old name."""
    place = {node: i for i, node in enumerate(graph.nodes)}
    owner: dict[fx.Node, fx.Node] = {}  # of the memory that a value lies in
    found: list[fx.Node] = []
    for node in graph.nodes:
        inputs = node.all_input_nodes
        in_place = _is_in_place(node)
        shares = bool(inputs) and (in_place or _is_view(net, node))
        owner[node] = owner[inputs[0]] if shares else node
        if not (inputs and in_place):
            continue
        names = [other for other in owner if other is not node and owner[other] is owner[node]]
        if any(place[user] > place[node] for name in names for user in name.users):
            found.append(node)
    return found


def _is_in_place(node: fx.Node) -> bool:
    if node.op not in ("call_function", "call_method"):
        return False
    name = str(getattr(node.target, "__name__", node.target))
    marked = name.endswith("_") and not name.endswith("__")
    return marked or node.target in _IN_PLACE or bool(node.kwargs.get("inplace"))


def _is_view(net: nn.Module, node: fx.Node) -> bool:
    if node.op != "call_module":
        return node.target in _VIEWS
    module = net.get_submodule(str(node.target))
    return isinstance(module, nn.Flatten) or type(module) in REMOVED
