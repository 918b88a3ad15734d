"""A traced network as nodes and edges of a NIR graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import nir
import numpy as np
from torch import fx, nn
from torch.nn.utils import parametrize

from sj_neurons.base import MemoryModule

from .assemble import POSITION, SHARED
from .dataflow import REMOVED, overwriting
from .draft import Draft
from .errors import NotSupportedError
from .feedback import closed, stand_in
from .fold import BATCH_NORMS
from .metadata import KEY, LOST
from .operations import expressed
from .ops.inexpressible import reason_against
from .ops.table import Shape, Site, has_row, op_of_module
from .trace import CONSTANT, NAME, SHAPE, batch_axes_of

__all__ = ["converted"]


class _AxesError(NotSupportedError):
    """A value without the batch and time axes of the input."""


def converted(
    traced: fx.GraphModule, dt: float, lead: int, problems: list[str], strict: bool
) -> tuple[nir.NIRGraph, list[str]]:
    """The NIR graph of `traced`, whose shapes are recorded, and how it differs from `traced`.

    Args:
        traced: what :func:`sj_nir.trace.trace` made.
        dt: seconds per step.
        lead: axes in front of those of a sample, 1 or 2.
        problems: what is known not to be expressible; more is added.
        strict: whether a node that differs from its module is a problem.

    Raises:
        NotSupportedError: there are problems; all of them in one text.
    """
    converter = _Converter(traced, dt, lead, problems, strict)
    return converter.convert(), converter.losses


class _Converter:
    """Walks a traced network; every value is the sum of the outputs of some NIR nodes."""

    def __init__(
        self, traced: fx.GraphModule, dt: float, lead: int, problems: list[str], strict: bool
    ) -> None:
        self.traced, self.dt, self.lead, self.problems = traced, dt, lead, problems
        self.strict = strict
        self.losses: list[str] = []
        self.values: dict[fx.Node, tuple[str, ...]] = {}
        self.draft = Draft()
        self.called: dict[int, str] = {}  # id of a module -> name of its first node
        places = traced.graph.find_nodes(op="placeholder")
        self.inputs = [node for node in places if SHAPE in node.meta and node.users]
        if not self.inputs:
            raise NotSupportedError("forward uses none of its inputs")
        self.lead_shape: Shape = self.inputs[0].meta[SHAPE][:lead]

    def convert(self) -> nir.NIRGraph:
        steps: dict[str, Callable[[fx.Node], tuple[str, ...]]] = {
            "placeholder": self._input,
            "call_module": self._module,
            "call_function": self._operation,
            "call_method": self._operation,
            "output": self._output,
        }
        self.problems.extend(
            f"{self._label(node)}: changes in place what is read again later; write y = y + x"
            for node in overwriting(self.traced, self.traced.graph)
        )
        misshapen: set[fx.Node] = set()
        for node in self.traced.graph.nodes:
            if node.op != "output" and (SHAPE not in node.meta or CONSTANT in node.meta):
                continue  # arithmetic with sizes, or with parameters alone
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
        return self.draft.finished(self.dt)

    # one method per kind of fx node

    def _input(self, node: fx.Node) -> tuple[str, ...]:
        if node not in self.inputs:
            return ()
        record = {KEY: {POSITION: self.inputs.index(node)}} if len(self.inputs) > 1 else {}
        shape = np.array(self.sample_shape(node))
        made = nir.Input({"input": shape}, metadata=record)
        return (self.draft.add(node.meta.get(NAME, node.name), made),)

    def _output(self, node: fx.Node) -> tuple[str, ...]:
        found = _results(node)
        for position, (name, value) in enumerate(found.items()):
            if not isinstance(value, fx.Node) or SHAPE not in value.meta:
                raise NotSupportedError(
                    "expected a tensor, or a tuple, list or dict of tensors, to be returned"
                )
            record = {KEY: {POSITION: position}} if len(found) > 1 else {}
            shape = np.array(self.sample_shape(value))
            target = nir.Output({"output": shape}, metadata=record)
            self.draft.add(name, target, self.sources(value))
        return ()

    def _module(self, node: fx.Node) -> tuple[str, ...]:
        path = str(node.target)
        module = self.traced.get_submodule(path)
        source = node.all_input_nodes[0]
        value = self.sources(source)
        if type(module) in (*REMOVED, *BATCH_NORMS):  # a BatchNorm left over is a known problem
            return value
        op = op_of_module(module)
        if op is None:
            raise NotSupportedError(_advice(module))
        first = self.called.get(id(module))  # it may have several paths
        if first is not None and isinstance(module, MemoryModule):
            raise NotSupportedError(
                f"called more than once (first as node {first!r}), so that its state "
                "is shared; use one neuron per call, or export a single time step"
            )
        site = Site(
            name=node.meta.get(NAME, node.name),
            path=path,
            dt=self.dt,
            input_shape=self.sample_shape(source),
            output_shape=self.sample_shape(node),
            batch_axes=batch_axes_of(node, module, self.lead),
            strict=self.strict,
        )
        made = op.to_node(module, site)
        if site.losses:
            self.losses.extend(f"{self._label(node)}: {loss}" for loss in site.losses)
            made.metadata = _with_record(made.metadata, LOST, "; ".join(site.losses))
        if first is not None:
            made.metadata = _with_record(made.metadata, SHARED, first)
        (name,) = self.node(node, source, made)
        self.called.setdefault(id(module), name)
        return (name,)

    def _operation(self, node: fx.Node) -> tuple[str, ...]:
        if node.target is stand_in:
            return (self.draft.open(),)
        if node.target is closed:
            opened, out = node.args
            (name,), value = self.values[opened], self.values[out]  # pyright: ignore[reportArgumentType]
            self.draft.close(name, value)
            return value
        return expressed(node, self)

    # what operations need

    def node(self, at: fx.Node, source: fx.Node, made: nir.NIRNode) -> tuple[str, ...]:
        """Add a node fed by the value of `source`; returns its own value."""
        # the run knows better than the nir library, which errs on some convolutions
        made.input_type = {"input": np.array(self.sample_shape(source))}
        made.output_type = {"output": np.array(self.sample_shape(at))}
        return (self.draft.add(at.meta.get(NAME, at.name), made, self.sources(source)),)

    def sources(self, node: fx.Node) -> tuple[str, ...]:
        """The value of `node`: names of the NIR nodes that add up to it."""
        if CONSTANT in node.meta:
            raise NotSupportedError("a parameter or buffer used outside of a layer")
        return self.values[node]

    def sample_shape(self, node: fx.Node) -> Shape:
        """Shape of one sample at one step of the value of `node`."""
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


def _results(node: fx.Node) -> dict[str, Any]:
    """What `forward` returns, by name of the Output."""
    returned, names = node.args[0], node.meta.get(NAME)
    if isinstance(returned, Mapping):
        if not all(isinstance(key, str) for key in returned):
            raise NotSupportedError("the keys of a returned dict name the Outputs, so use str")
        return dict(returned)
    if not isinstance(returned, tuple | list):
        returned = (returned,)
    if not returned:
        raise NotSupportedError("forward returns nothing")
    if names is None:
        several = len(returned) > 1
        names = [f"{node.name}_{i}" if several else node.name for i in range(len(returned))]
    return dict(zip(names, returned, strict=True))


def _with_record(metadata: Any, entry: str, value: Any) -> dict[str, Any]:
    known = metadata if isinstance(metadata, Mapping) else {}
    return {**known, KEY: {**known.get(KEY, {}), entry: value}}


def _advice(module: nn.Module) -> str:
    reason = reason_against(module)
    if reason is not None:
        return reason
    if parametrize.is_parametrized(module):
        return (
            "its parameters are computed from others; call remove_parametrizations of "
            "torch.nn.utils.parametrize on it, or on that of a copy of the network"
        )
    parents = [base for base in type(module).__mro__[1:] if base is not nn.Module]
    known = next((base.__name__ for base in parents if has_row(base)), None)
    if known is not None:
        return f"a subclass of {known} may compute something else; sj_nir.register_op a row for it"
    return "no NIR node is known for it; replace it, or sj_nir.register_op a row for it"
