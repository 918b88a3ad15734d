"""Feedback in a flat fx graph, which has no loops: a stand-in opens a loop, a link closes it.

    y = stand_in(x, shape)         zeros in place of what comes back
    out = f(x, y)
    out = closed(y, out)           says that y is `out`, one step later

Recurrent containers of sj_layers are traced into this form, and the loops of imported networks are
brought back into it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from sj_layers import ElementWiseRecurrentContainer, LinearRecurrentContainer

from .recurrence import EXTERNAL, INNER, PREVIOUS, Loop

__all__ = ["RECURRENT", "closed", "expand_loop", "split_recurrent_weights", "stand_in", "unrolled"]

RECURRENT = (ElementWiseRecurrentContainer, LinearRecurrentContainer)


def stand_in(x: Tensor, shape: tuple[int, ...] | int | None) -> Tensor:
    """Zeros like `x`, with the last axis or all axes but the first of another size."""
    if shape is None:
        return torch.zeros_like(x)
    if isinstance(shape, int):
        return x.new_zeros(*x.shape[:-1], shape)
    return x.new_zeros(x.shape[0], *shape)


def closed(opened: Tensor, out: Tensor) -> Tensor:
    """`out`, which is what `opened` stands for, one step later."""
    return out


def split_recurrent_weights(net: nn.Module) -> None:
    """Give each linear container `rc_x` and `rc_y` for the two parts of what `rc` is applied to.

    rc([x, y]) = rc_x(x) + rc_y(y)
    """
    for module in net.modules():
        if type(module) is not LinearRecurrentContainer:
            continue
        weight, bias = module.rc.weight.detach(), module.rc.bias
        inputs = weight.shape[0]
        module.rc_x = _linear(weight[:, :inputs], bias)
        module.rc_y = _linear(weight[:, inputs:], None)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    with torch.random.fork_rng([]):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    layer.weight = nn.Parameter(weight.clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer


def unrolled(container: Any, x: fx.Proxy, tracer: fx.Tracer) -> fx.Proxy:
    """One step of a recurrent container whose weights are split, as part of the present trace."""
    linear = isinstance(container, LinearRecurrentContainer)
    shape = container.sub_module_out_features if linear else None
    y = tracer.create_proxy("call_function", stand_in, (x, shape), {})
    if linear:
        joined = container.rc_x(x) + container.rc_y(y)
    else:
        joined = container.element_wise_function(y, x)
    out = container.sub_module(joined)
    return tracer.create_proxy("call_function", closed, (y, out), {})


def expand_loop(graph: fx.Graph, call: fx.Node, loop: Loop) -> list[fx.Node]:
    """Put the nodes of `loop` in the place of its `call`; returns them."""
    added: list[fx.Node] = []
    inputs = call.args

    def new(op: str, target: Any, args: tuple[Any, ...], name: str | None = None) -> fx.Node:
        node = graph.create_node(op, target, args=args, name=name)
        added.append(node)
        return node

    with graph.inserting_before(call):
        opened = [new("call_function", stand_in, (inputs[0], shape)) for _, shape in loop.delayed]
        values: dict[int, fx.Node] = {}
        for number, node in enumerate(loop.nodes):
            known = {EXTERNAL: inputs, INNER: values, PREVIOUS: opened}
            first, *others = (known[kind][place] for kind, place in node.terms)
            for other in others:
                first = new("call_function", torch.add, (first, other))
            path = f"{call.target}.{node.attribute}"
            values[number] = new("call_module", path, (first,), node.attribute)
        for (number, _), y in zip(loop.delayed, opened, strict=True):
            values[number] = new("call_function", closed, (y, values[number]))
    _replace_results(graph, call, [values[number] for number in loop.outputs])
    return added


def _replace_results(graph: fx.Graph, call: fx.Node, results: list[fx.Node]) -> None:
    if len(results) == 1:
        call.replace_all_uses_with(results[0])
    else:
        for item in list(call.users):
            item.replace_all_uses_with(results[item.args[1]])  # pyright: ignore[reportArgumentType, reportCallIssue]
            graph.erase_node(item)
    graph.erase_node(call)
