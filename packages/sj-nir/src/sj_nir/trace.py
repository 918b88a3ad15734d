"""A network as a flat torch.fx graph whose nodes know the shapes of their values."""

from __future__ import annotations

import functools
import keyword
import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from sj_layers import (
    Flatten,
    Linear,
    MultiStepContainer,
    SeqToANNContainer,
    StepModeContainer,
)
from sj_layers.stateless import TimeFolded
from sj_neurons.base import MemoryModule, StepModule

from .dataflow import drop_unused
from .errors import ExportError
from .feedback import RECURRENT, expand_loop, split_recurrent_weights, unrolled
from .imported import ImportedNet
from .ops.inexpressible import reason_against
from .ops.table import op_of_module
from .recurrence import Loop

__all__ = [
    "CONSTANT",
    "FOLDED",
    "NAME",
    "SHAPE",
    "batch_axes_of",
    "record_shapes",
    "step_mode_of",
    "trace",
]

SHAPE = "sj_nir_shape"  # entry of node.meta: shape of the value, batch and time axes included
CONSTANT = "sj_nir_constant"  # entry of node.meta: the value, where it does not depend on inputs
NAME = "sj_nir_name"  # entry of node.meta: name of the NIR node that it was imported from
FOLDED = "sj_nir_folded"  # entry of node.meta: runs with time folded into the batch


def step_mode_of(net: nn.Module) -> str:
    """The step mode that all parts of `net` agree on; `'s'` where none has one.

    A Linear computes the same in both modes and counts only where nothing else has a mode.

    Raises:
        ExportError: two parts disagree.
    """
    found: dict[str, str] = {}
    of_linear: set[str] = set()
    for path, module in _outside_containers(net, ""):
        if type(module) is Linear:
            of_linear.add(module.step_mode)
        elif isinstance(module, StepModule):
            found.setdefault(module.step_mode, f"{path or 'the net'} ({type(module).__name__})")
    if len(found) > 1:
        raise ExportError(
            f"{found['s']} is in step mode 's' but {found['m']} in 'm'; "
            "call functional.set_step_mode(net, ...) first"
        )
    return next(iter(found), "m" if of_linear == {"m"} else "s")


def _outside_containers(module: nn.Module, path: str) -> Any:
    yield path, module
    if isinstance(module, StepModule) and module.owns_children_step_mode:
        return
    for name, child in module.named_children():
        yield from _outside_containers(child, f"{path}.{name}" if path else name)


_CHAINS = (SeqToANNContainer, MultiStepContainer, StepModeContainer)


class _Value(fx.Proxy):
    """Traces `y += x` as what it is; a plain proxy would make it y = y + x."""

    def _in_place(self, operation: Any, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operation, (self, other), {})

    def __iadd__(self, other: Any) -> Any:
        return self._in_place(operator.iadd, other)

    def __isub__(self, other: Any) -> Any:
        return self._in_place(operator.isub, other)

    def __imul__(self, other: Any) -> Any:
        return self._in_place(operator.imul, other)

    def __itruediv__(self, other: Any) -> Any:
        return self._in_place(operator.itruediv, other)


class _Tracer(fx.Tracer):
    """Keeps layers and neurons whole and looks into everything else."""

    def __init__(self) -> None:
        super().__init__()
        self._folding = False

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Value(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if _looked_into(m):
            return False
        if isinstance(m, MemoryModule | TimeFolded | SeqToANNContainer):
            return True
        if op_of_module(m) is not None or reason_against(m) is not None:
            return True
        return super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        if not _looked_into(m):
            return super().call_module(m, forward, args, kwargs)
        outside = self._folding
        self._folding = outside or getattr(m, "step_mode", "m") == "m"
        try:
            (value,) = args
            if isinstance(m, RECURRENT):
                return unrolled(m, value, self)
            for child in m.children():
                value = child(value)
            return value
        finally:
            self._folding = outside

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        if self._folding:
            node.meta[FOLDED] = True
        return node


def _looked_into(module: nn.Module) -> bool:
    return type(module) in (*_CHAINS, *RECURRENT)


def trace(net: nn.Module) -> fx.GraphModule:
    """`net` as a flat fx graph, with its loops as `feedback` describes; `net` may be changed.

    Raises:
        ExportError: torch.fx cannot follow `forward`.
    """
    if isinstance(net, ImportedNet):
        return _flat(net)
    split_recurrent_weights(net)
    tracer = _Tracer()
    if tracer.is_leaf_module(net, "") or _looked_into(net):
        net = nn.Sequential(net)
    try:
        graph = tracer.trace(net)
    except Exception as error:  # whatever forward does with a proxy instead of a tensor
        raise ExportError(
            f"torch.fx cannot follow {type(net).__name__}.forward ({error}); it must not decide "
            "on values or shapes of tensors. Export the part of the network without that code"
        ) from error
    drop_unused(net, graph)
    _free_names(net, graph)
    return fx.GraphModule(net, graph)


def _free_names(net: nn.Module, graph: fx.Graph) -> None:
    """Rename what `net` calls like a word of Python or an attribute of torch.fx's own modules."""
    plain = fx.GraphModule(nn.Module(), fx.Graph())
    for node in graph.nodes:
        words = str(node.target).split(".")
        clash = hasattr(plain, words[0]) or any(keyword.iskeyword(word) for word in words)
        if node.op in ("call_module", "get_attr") and clash:
            value = functools.reduce(getattr, words, net)
            node.target = f"{'_'.join(words)}_"
            while getattr(net, node.target, value) is not value:
                node.target += "_"
            setattr(net, node.target, value)


def _flat(net: ImportedNet) -> fx.GraphModule:
    """An imported network without its state argument, its loops as feedback."""
    graph = net.graph
    for node in graph.nodes:
        if node.op == "output":
            value, _ = node.args[0]
            node.args = (value,)
    for node in graph.find_nodes(op="placeholder", target="state"):
        graph.erase_node(node)
    for node in graph.find_nodes(op="call_module"):
        loop = net.get_submodule(str(node.target))
        if isinstance(loop, Loop):
            for added in expand_loop(graph, node, loop):
                added.meta[FOLDED] = loop.step_mode == "m"
    waiting: dict[str, list[str]] = {}
    for name, path in net.contents.nodes.items():
        if path is not None:
            waiting.setdefault(path, []).append(name)
    for node in graph.find_nodes(op="call_module"):
        if waiting.get(str(node.target)):
            node.meta[NAME] = waiting[str(node.target)].pop(0)
    for node, name in zip(graph.find_nodes(op="placeholder"), net.input_names, strict=True):
        node.meta[NAME] = name
    for node in graph.find_nodes(op="output"):
        node.meta[NAME] = net.output_names
    return net


class _Recorder(fx.Interpreter):
    """Runs a graph and notes the shape of every tensor, and the values that depend on no input."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.extra_traceback = False  # the error names the module in the user's words

    def run_node(self, n: fx.Node) -> Any:
        try:
            result = self._run_folded(n) if n.meta.get(FOLDED) else super().run_node(n)
        except Exception as error:
            raise ExportError(
                f"the example input does not get past {_label(n, self)}: {error}"
            ) from error
        if _is_sequence(result):
            n.meta[SHAPE] = (len(result), *result[0].shape)
        elif isinstance(result, Tensor):
            n.meta[SHAPE] = tuple(result.shape)
            inputs = n.all_input_nodes
            settled = n.op in ("get_attr", "call_function", "call_method")
            if settled and all(CONSTANT in node.meta for node in inputs):
                n.meta[CONSTANT] = result
        return result

    def _run_folded(self, n: fx.Node) -> Any:
        folds: list[torch.Size] = []

        def fold(node: fx.Node) -> Any:
            value = self.env[node]
            if not isinstance(value, Tensor) or CONSTANT in node.meta:
                return value
            folds.append(value.shape[:2])
            return value.flatten(0, 1)

        args, kwargs = map_arg(n.args, fold), map_arg(n.kwargs, fold)
        result = getattr(self, n.op)(n.target, args, kwargs)
        return result.unflatten(0, folds[0]) if folds and isinstance(result, Tensor) else result


def _is_sequence(value: Any) -> bool:
    """Whether `value` is a list of steps, as neurons without spikes put it out."""
    return isinstance(value, list) and bool(value) and all(isinstance(v, Tensor) for v in value)


def _label(node: fx.Node, interpreter: fx.Interpreter) -> str:
    if node.op != "call_module":
        return f"node {node.name!r} ({node.op} {node.target})"
    module = interpreter.fetch_attr(str(node.target))
    return f"node {node.name!r} ({type(module).__name__} at {node.target!r})"


def record_shapes(traced: fx.GraphModule, examples: tuple[Tensor, ...]) -> None:
    """Run `traced` once and leave in `node.meta` the shape of every value.

    Raises:
        ExportError: the network does not take the input; names the module.
    """
    devices = {example.device for example in examples if example.is_cuda}
    with torch.no_grad(), torch.random.fork_rng(list(devices)):
        _Recorder(traced).run(*(example.clone() for example in examples))


def batch_axes_of(node: fx.Node, module: nn.Module, lead: int) -> int:
    """Axes before those of a sample, as the module of `node` counts its dims."""
    return 1 if isinstance(module, Flatten) or node.meta.get(FOLDED) else lead
