"""What the modules of a running network put out, under the names of the nodes of its NIR graph."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from sj_neurons.functional import reset_net

from .errors import ExportError
from .fold import BATCH_NORMS
from .imported import META, ImportedNet
from .trace import step_mode_of, trace

__all__ = ["Recorded", "matching_calls", "record_outputs"]


@dataclass(frozen=True)
class Call:
    """One of the calls of a module in one pass.

    Args:
        path: of the module.
        number: how many calls came before it.
        of: how many there are.
    """

    path: str
    number: int = 0
    of: int = 1


@dataclass(frozen=True)
class Recorded:
    """Outputs of a network, and of its modules by the node that they stand for.

    Attributes:
        nodes: `[T, B, *]` by node.
        outputs: `[T, B, *]` each, in the order in which the network returns them, or by name.
    """

    nodes: dict[str, np.ndarray]
    outputs: list[np.ndarray] | dict[str, np.ndarray]


def matching_calls(net: nn.Module, names: Iterable[str]) -> dict[str, Call]:
    """The call that stands for each node, as far as the names of export tell.

    A node is matched with the node of `torch.fx` that has its name, where underscores at the ends,
    dots and slashes do not count; with an imported network, with the module made from it.
    """
    if isinstance(net, ImportedNet):
        return _imported_calls(net)
    try:
        traced = trace(copy.deepcopy(net))
    except (ExportError, RuntimeError, TypeError):  # what cannot be followed has no names
        return {}
    calls = _traced_calls(traced)
    # a lone layer or container was put into a Sequential to be traced
    alone = {
        key: Call(call.path.removeprefix("0").removeprefix("."), call.number, call.of)
        for key, call in calls.items()
    }
    there = (
        {key: call for key, call in some.items() if _is_at(net, call, calls[key], traced)}
        for some in (calls, alone)
    )
    found = max(there, key=len)
    return {name: found[key] for name in names if (key := _plain(name)) in found}


def _is_at(net: nn.Module, call: Call, traced_call: Call, traced: fx.GraphModule) -> bool:
    """Whether the module of a call in the traced network is in the network itself."""
    try:
        own, theirs = net.get_submodule(call.path), traced.get_submodule(traced_call.path)
    except AttributeError:
        return False
    return type(own) is type(theirs)


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name).strip("_")


def _imported_calls(net: ImportedNet) -> dict[str, Call]:
    paths = {name: path for name, path in net.meta[META].nodes.items() if path is not None}
    modules = {name: net.get_submodule(path) for name, path in paths.items()}
    # of several calls of one module it is not known which is whose
    used = [id(module) for module in modules.values()]
    return {name: Call(paths[name]) for name in paths if used.count(id(modules[name])) == 1}


def _traced_calls(traced: fx.GraphModule) -> dict[str, Call]:
    """Calls by the plain name of their fx node; a BatchNorm's under that of the layer before it."""
    order: dict[str, list[fx.Node]] = {}
    for node in traced.graph.find_nodes(op="call_module"):
        order.setdefault(str(node.target), []).append(node)
    calls = {
        node.name: Call(path, number, len(nodes))
        for path, nodes in order.items()
        for number, node in enumerate(nodes)
    }
    for node in traced.graph.find_nodes(op="call_module"):
        source = node.args[0] if node.args else None
        is_norm = type(traced.get_submodule(str(node.target))) in BATCH_NORMS
        if is_norm and isinstance(source, fx.Node) and source.name in calls:
            calls[source.name] = calls.pop(node.name)
    plain = [_plain(name) for name in calls]
    return {_plain(name): call for name, call in calls.items() if plain.count(_plain(name)) == 1}


def record_outputs(
    net: nn.Module,
    inputs: Sequence[Tensor] | Mapping[str, Tensor],
    calls: Mapping[str, Call],
    shapes: Mapping[str, tuple[int, ...]],
) -> Recorded:
    """Run a copy of `net` in eval mode from its reset state.

    Args:
        inputs: `[T, B, *]` each, in the order of `forward`, or by name for an imported network.
        calls: nodes to record; those whose values do not fit `shapes` are left out.
        shapes: shape of one sample of each node's output.
    """
    net = _working_copy(net)
    values: dict[str, list[np.ndarray]] = {}
    for path in {call.path for call in calls.values()}:
        net.get_submodule(path).register_forward_hook(_listener(values.setdefault(path, [])))
    known = list(inputs.values()) if isinstance(inputs, Mapping) else inputs
    steps, batch = known[0].shape[:2]
    whole = step_mode_of(net) == "m"
    with torch.no_grad():
        results = [_call(net, inputs, None if whole else t) for t in range(1 if whole else steps)]
    nodes: dict[str, np.ndarray] = {}
    for name, call in calls.items():
        found = values[call.path][call.number :: call.of]
        expected = (steps, batch, *shapes[name])
        if sum(value.size for value in found) == np.prod(expected):
            nodes[name] = np.concatenate([value.reshape(-1) for value in found]).reshape(expected)
    return Recorded(nodes, _joined(results, whole))


def _working_copy(net: nn.Module) -> nn.Module:
    shared = {id(parameter): parameter for parameter in net.parameters()}
    working = copy.deepcopy(net, shared).eval()
    for module in working.modules():
        module._forward_hooks.clear()  # monitors of the original must not see the example
    reset_net(working)
    return working


def _listener(values: list[np.ndarray]) -> Any:
    def listen(module: nn.Module, args: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            values.append(_array(output))

    return listen


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.float64).numpy().copy()


def _call(net: nn.Module, inputs: Sequence[Tensor] | Mapping[str, Tensor], step: int | None) -> Any:
    def part(x: Tensor) -> Tensor:
        return x if step is None else x[step]

    if isinstance(inputs, Mapping):
        result = net({name: part(x) for name, x in inputs.items()})
    else:
        result = net(*(part(x) for x in inputs))
    return result[0] if isinstance(net, ImportedNet) else result


def _joined(results: list[Any], whole: bool) -> list[np.ndarray] | dict[str, np.ndarray]:
    """The results of all steps, or the one result for the `whole` sequence."""

    def joined(values: Sequence[Any]) -> np.ndarray:
        if not all(isinstance(value, Tensor) for value in values):
            kinds = {type(value).__name__ for value in values}
            raise TypeError(f"the network must return tensors, got {', '.join(sorted(kinds))}")
        arrays = [_array(value) for value in values]
        return arrays[0] if whole else np.stack(arrays)

    first = results[0]
    if isinstance(first, Mapping):
        return {name: joined([result[name] for result in results]) for name in first}
    if isinstance(first, tuple | list):
        return [joined(values) for values in zip(*results, strict=True)]
    return [joined(results)]
