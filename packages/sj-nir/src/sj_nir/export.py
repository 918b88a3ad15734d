"""Network to NIR graph."""

from __future__ import annotations

import copy
import math
import operator
import os
from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, fx, nn

import sj_layers as layer
from sj_neurons.base import MemoryModule
from sj_neurons.functional import reset_net

from .errors import ExportError, NotSupportedError
from .files import write_graph
from .fold import BATCH_NORMS, fold_batch_norms
from .metadata import FORMAT, KEY
from .ops.flatten import merged_axes
from .ops.table import Shape, Site, has_row, op_of_module
from .trace import SHAPE, batch_axes_of, record_shapes, step_mode_of, trace

__all__ = ["export_to_nir"]

_REMOVED = (
    nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, layer.Dropout,
)  # fmt: skip
_ADDITIONS: set[Any] = {operator.add, operator.iadd, torch.add, "add", "add_"}
_RESHAPES: set[Any] = {torch.flatten, torch.reshape, "flatten", "reshape", "view"}


def export_to_nir(
    net: nn.Module,
    example_input: Tensor,
    save_path: str | os.PathLike[str] | None = None,
    dt: float = 1e-4,
) -> nir.NIRGraph:
    """Turn a network into a NIR graph of what it computes in eval mode.

    Nodes have the names that torch.fx gives; shapes come from one run on a copy, so that `net`,
    its memories, statistics and random numbers stay as they are. The graph starts from the reset
    state. BatchNorm is merged into the layer before it, dropout is left out.

    Args:
        net: the network.
        example_input: `[N, *]`, or `[T, N, *]` for step mode `'m'`.
        save_path: file to write, HDF5 whatever its suffix.
        dt: seconds per step.

    Raises:
        NotSupportedError: modules or operations that NIR cannot express, all of them in one text.
        ExportError: torch.fx cannot follow the network, or it does not take the example input.
        ValueError, TypeError: `dt`, `net` or `example_input` is not what it should be.
        FileNotFoundError, PermissionError, IsADirectoryError: `save_path` cannot be written.
    """
    if isinstance(dt, bool) or not isinstance(dt, int | float):
        raise TypeError(f"dt must be a number of seconds, got {dt!r}")
    if not (dt > 0 and math.isfinite(dt)):
        raise ValueError(f"dt must be a positive number of seconds, got {dt}")
    if not isinstance(net, nn.Module):
        raise TypeError(f"net must be a torch.nn.Module, got {type(net).__name__}")
    if not isinstance(example_input, Tensor):
        kind = type(example_input).__name__
        raise TypeError(f"example_input must be a tensor [N, *] or [T, N, *], got {kind}")
    lead = 2 if step_mode_of(net) == "m" else 1
    if example_input.dim() <= lead:
        axes = "[T, N, *]" if lead == 2 else "[N, *]"
        raise ValueError(f"example_input must be {axes}, got shape {tuple(example_input.shape)}")
    traced = trace(_working_copy(net))
    problems = fold_batch_norms(traced)
    _check_inputs(traced)
    record_shapes(traced, example_input)
    graph = _Converter(traced, float(dt), lead, problems).convert()
    if save_path is not None:
        write_graph(save_path, graph)
    return graph


def _working_copy(net: nn.Module) -> nn.Module:
    """A copy in eval and reset state that shares the parameters."""
    shared = {id(parameter): parameter for parameter in net.parameters()}
    try:
        working = copy.deepcopy(net, shared).eval()
    except (RuntimeError, TypeError) as error:
        raise ExportError(f"{type(net).__name__} cannot be copied ({error})") from error
    for module in working.modules():
        module._forward_hooks.clear()  # monitors of the original must not see the example
    reset_net(working)
    return working


def _check_inputs(traced: fx.GraphModule) -> None:
    inputs = traced.graph.find_nodes(op="placeholder")
    if not inputs:
        raise NotSupportedError("forward takes no input")
    needed = [inputs[0].name, *(node.name for node in inputs[1:] if node.users)]
    if len(needed) > 1:
        raise NotSupportedError(
            f"forward uses the inputs {', '.join(needed)}; more than one is not supported yet"
        )


class _AxesError(NotSupportedError):
    """A value without the batch and time axes of the input."""


class _Converter:
    """Walks a traced network and collects nodes, edges and problems.

    Every value is the sum of the outputs of some NIR nodes, named in the order of addition.
    """

    def __init__(self, traced: fx.GraphModule, dt: float, lead: int, problems: list[str]) -> None:
        self.traced, self.dt, self.lead, self.problems = traced, dt, lead, problems
        self.values: dict[fx.Node, tuple[str, ...]] = {}
        self.nodes: dict[str, nir.NIRNode] = {}
        self.edges: list[tuple[str, str]] = []
        self.called: dict[str, str] = {}  # module path -> name of its first node
        (placeholder, *_) = traced.graph.find_nodes(op="placeholder")
        self.lead_shape: Shape = placeholder.meta[SHAPE][:lead]

    def convert(self) -> nir.NIRGraph:
        steps: dict[str, Callable[[fx.Node], tuple[str, ...]]] = {
            "placeholder": self._input,
            "call_module": self._module,
            "call_function": self._operation,
            "call_method": self._operation,
            "get_attr": self._constant,
            "output": self._output,
        }
        misshapen: set[fx.Node] = set()
        for node in self.traced.graph.nodes:
            if SHAPE not in node.meta and node.op != "output":
                continue  # no tensor: arithmetic with sizes
            try:
                self.values[node] = steps[node.op](node)
            except NotSupportedError as error:
                self.values[node] = ()
                if isinstance(error, _AxesError):
                    misshapen.add(node)
                    if misshapen.intersection(node.all_input_nodes):
                        continue  # a consequence, already reported where it began
                self.problems.append(f"{self._label(node)}: {error}")
        if self.problems:
            listed = "\n".join(f"  {problem}" for problem in self.problems)
            raise NotSupportedError(f"NIR cannot express these parts of the network:\n{listed}")
        return nir.NIRGraph(
            self.nodes,
            self.edges,
            metadata={KEY: {"format": FORMAT, "dt": self.dt}},
            type_check=False,
        )

    # one method per kind of fx node

    def _input(self, node: fx.Node) -> tuple[str, ...]:
        return self._add(node, (), nir.Input({"input": np.array(self._sample_shape(node))}))

    def _output(self, node: fx.Node) -> tuple[str, ...]:
        value = node.args[0]
        if not isinstance(value, fx.Node) or SHAPE not in value.meta:
            raise NotSupportedError("expected one tensor; several outputs are not supported yet")
        node.meta[SHAPE] = value.meta[SHAPE]
        shape = np.array(self._sample_shape(value))
        return self._add(node, self._sources(node), nir.Output({"output": shape}))

    def _module(self, node: fx.Node) -> tuple[str, ...]:
        path = str(node.target)
        module = self.traced.get_submodule(path)
        sources = self._sources(node)
        if type(module) in (*_REMOVED, *BATCH_NORMS):  # a BatchNorm left over is a known problem
            return sources
        op = op_of_module(module)
        if op is None:
            raise NotSupportedError(_advice(module))
        if self.called.setdefault(path, node.name) != node.name and isinstance(
            module, MemoryModule
        ):
            raise NotSupportedError(
                f"called more than once (first as node {self.called[path]!r}), so that its state "
                "is shared; use one neuron per call, or export a single time step"
            )
        site = Site(
            name=node.name,
            path=path,
            dt=self.dt,
            input_shape=self._sample_shape(node.all_input_nodes[0]),
            output_shape=self._sample_shape(node),
            batch_axes=batch_axes_of(node, module, self.lead),
        )
        return self._add(node, sources, op.to_node(module, site))

    def _operation(self, node: fx.Node) -> tuple[str, ...]:
        if node.target in _ADDITIONS:
            return self._addition(node)
        if node.target == "contiguous":
            return self._sources(node)
        if node.target not in _RESHAPES:
            raise NotSupportedError(
                "only additions and flatten, reshape and view of a whole sample can be exported "
                "outside of modules; end the exported part before it"
            )
        source = node.all_input_nodes[0]
        before, after = self._sample_shape(source), self._sample_shape(node)
        if before == after:
            return self._sources(node)
        dims = merged_axes(before, after)
        if dims is None:
            raise NotSupportedError(f"turns {before} into {after}; NIR can only merge axes")
        flatten = nir.Flatten({"input": np.array(before)}, *dims)
        return self._add(node, self._sources(node), flatten)

    def _addition(self, node: fx.Node) -> tuple[str, ...]:
        terms = [arg for arg in node.args if isinstance(arg, fx.Node)]
        if len(terms) != 2 or node.kwargs.get("alpha", 1) != 1:
            raise NotSupportedError("NIR adds only outputs of nodes, unscaled")
        if any(term.meta.get(SHAPE) != node.meta[SHAPE] for term in terms):
            raise NotSupportedError("NIR adds only values of equal shape")
        left, right = (self.values[term] for term in terms)
        if set(left) & set(right):
            raise NotSupportedError("NIR cannot add a value to itself")
        # a + (b + c) is (b + c) + a, which the order of edges can say
        return (*right, *left) if len(right) > len(left) else (*left, *right)

    def _constant(self, node: fx.Node) -> tuple[str, ...]:
        raise NotSupportedError("a parameter or buffer used outside of a layer")

    # pieces

    def _add(
        self, node: fx.Node, sources: tuple[str, ...], converted: nir.NIRNode
    ) -> tuple[str, ...]:
        if node.op not in ("placeholder", "output"):
            # the run knows better than the nir library, which errs on some convolutions
            before = self._sample_shape(node.all_input_nodes[0])
            converted.input_type = {"input": np.array(before)}
            converted.output_type = {"output": np.array(self._sample_shape(node))}
        self.nodes[node.name] = converted
        self.edges.extend((source, node.name) for source in sources)
        return (node.name,)

    def _sources(self, node: fx.Node) -> tuple[str, ...]:
        return self.values[node.all_input_nodes[0]]

    def _sample_shape(self, node: fx.Node) -> Shape:
        shape: Shape = node.meta[SHAPE]
        if shape[: self.lead] != self.lead_shape:
            axes = "batch axis" if self.lead == 1 else "time and batch axes"
            raise _AxesError(
                f"changes the {axes}: shape {shape}, expected {self.lead_shape} in front"
            )
        return shape[self.lead :]

    def _label(self, node: fx.Node) -> str:
        if node.op == "call_module":
            kind = type(self.traced.get_submodule(str(node.target))).__name__
            return f"{node.target} ({kind})"
        target = getattr(node.target, "__name__", node.target)
        return f"node {node.name!r} ({node.op} {target})"


def _advice(module: nn.Module) -> str:
    parents = [base for base in type(module).__mro__[1:] if base is not nn.Module]
    known = next((base.__name__ for base in parents if has_row(base)), None)
    if known is not None:
        return f"a subclass of {known} may compute something else; sj_nir.register_op a row for it"
    if isinstance(module, nn.MaxPool2d):
        return "NIR has no maximum pooling; use AvgPool2d"
    return "no NIR node is known for it; replace it, or sj_nir.register_op a row for it"
