"""A network as a flat torch.fx graph whose nodes know the shapes of their values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from sj_layers import Flatten, Linear, SeqToANNContainer
from sj_layers.stateless import TimeFolded
from sj_neurons.base import MemoryModule, StepModule

from .errors import ExportError
from .imported import ImportedNet
from .ops.table import op_of_module

__all__ = ["FOLDED", "SHAPE", "batch_axes_of", "record_shapes", "step_mode_of", "trace"]

SHAPE = "sj_nir_shape"  # entry of node.meta: shape of the value, batch and time axes included
FOLDED = "sj_nir_folded"  # entry of node.meta: runs with time folded into the batch


def step_mode_of(net: nn.Module) -> str:
    """The step mode that all parts of `net` agree on; `'s'` where none has one.

    Raises:
        ExportError: two parts disagree.
    """
    found: dict[str, str] = {}
    for path, module in _outside_containers(net, ""):
        # a Linear computes the same in both modes
        if isinstance(module, StepModule) and type(module) is not Linear:
            found.setdefault(module.step_mode, f"{path or 'the net'} ({type(module).__name__})")
    if len(found) > 1:
        raise ExportError(
            f"{found['s']} is in step mode 's' but {found['m']} in 'm'; "
            "call functional.set_step_mode(net, ...) first"
        )
    return next(iter(found), "s")


def _outside_containers(module: nn.Module, path: str) -> Any:
    yield path, module
    if isinstance(module, StepModule) and module.owns_children_step_mode:
        return
    for name, child in module.named_children():
        yield from _outside_containers(child, f"{path}.{name}" if path else name)


class _Tracer(fx.Tracer):
    """Keeps layers and neurons whole and looks into everything else."""

    def __init__(self) -> None:
        super().__init__()
        self._folding = False

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if op_of_module(m) is not None or isinstance(m, MemoryModule | TimeFolded):
            return True
        if isinstance(m, SeqToANNContainer):
            return False
        return super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        if not isinstance(m, SeqToANNContainer) or self._folding:
            return super().call_module(m, forward, args, kwargs)
        self._folding = True
        try:
            (value,) = args
            for child in m:
                value = child(value)
            return value
        finally:
            self._folding = False

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        if self._folding:
            node.meta[FOLDED] = True
        return node


def trace(net: nn.Module) -> fx.GraphModule:
    """`net` as an fx graph with one input and one output; `net` itself may be changed.

    Raises:
        ExportError: torch.fx cannot follow `forward`.
    """
    if isinstance(net, ImportedNet):
        return _without_state(net)
    tracer = _Tracer()
    if tracer.is_leaf_module(net, "") or isinstance(net, SeqToANNContainer):
        net = nn.Sequential(net)
    try:
        graph = tracer.trace(net)
    except Exception as error:  # whatever forward does with a proxy instead of a tensor
        raise ExportError(
            f"torch.fx cannot follow {type(net).__name__}.forward ({error}); it must not decide "
            "on values or shapes of tensors. Export the part of the network without that code"
        ) from error
    return fx.GraphModule(net, graph)


def _without_state(net: ImportedNet) -> fx.GraphModule:
    for node in net.graph.nodes:
        if node.op == "output":
            value, _ = node.args[0]
            node.args = (value,)
    for node in net.graph.find_nodes(op="placeholder", target="state"):
        net.graph.erase_node(node)
    return net


class _Recorder(fx.Interpreter):
    """Runs a graph and notes the shape of every tensor."""

    extra_traceback = False

    def run_node(self, n: fx.Node) -> Any:
        try:
            result = self._run_folded(n) if n.meta.get(FOLDED) else super().run_node(n)
        except Exception as error:
            raise ExportError(
                f"the example input does not get past {_label(n, self)}: {error}"
            ) from (error)
        if isinstance(result, Tensor):
            n.meta[SHAPE] = tuple(result.shape)
        return result

    def _run_folded(self, n: fx.Node) -> Any:
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        folds: list[torch.Size] = []

        def fold(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            folds.append(value.shape[:2])
            return value.flatten(0, 1)

        folded = map_aggregate(args, fold)
        result = getattr(self, n.op)(n.target, folded, kwargs)
        return result.unflatten(0, folds[0]) if isinstance(result, Tensor) else result


def _label(node: fx.Node, interpreter: fx.Interpreter) -> str:
    if node.op != "call_module":
        return f"node {node.name!r} ({node.op} {node.target})"
    module = interpreter.fetch_attr(str(node.target))
    return f"node {node.name!r} ({type(module).__name__} at {node.target!r})"


def record_shapes(traced: fx.GraphModule, example_input: Tensor) -> None:
    """Run `traced` once and leave in `node.meta` the shape of every value.

    Raises:
        ExportError: the network does not take the input; names the module.
    """
    devices = [example_input.device] if example_input.is_cuda else []
    with torch.no_grad(), torch.random.fork_rng(devices):
        _Recorder(traced).run(example_input)


def batch_axes_of(node: fx.Node, module: nn.Module, lead: int) -> int:
    """Axes before those of a sample, as the module of `node` counts its dims."""
    return 1 if isinstance(module, Flatten) or node.meta.get(FOLDED) else lead
