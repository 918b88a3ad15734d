"""A graph made ready to be computed: shapes known, nodes ordered, parameters checked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import nir
import numpy as np
from numpy.typing import DTypeLike

from ..errors import NIRGraphError
from ..files import read_graph
from .fields import Shape, floats, shape_of
from .flat import FlatGraph, flatten, listed
from .outputs import Outputs, Recorder
from .rule import Rule, recorded_single
from .schedule import Component, Schedule, schedule
from .stateful import NEURONS, Delay, Neuron
from .stateless import Function, stateless

__all__ = ["Program", "compile_graph", "interpret"]

Inputs = np.ndarray | Mapping[str, np.ndarray]


def interpret(
    graph: nir.NIRGraph | str | os.PathLike[str],
    inputs: Inputs,
    dt: float | None = None,
    *,
    reset: str | None = None,
    threshold: str | None = None,
    cut: str = "neuron",
    if_dt: float | None = None,
    record: Iterable[str] = (),
    dtype: DTypeLike = np.float64,
) -> Outputs:
    """Compute a NIR graph from its initial state, with numpy.

    Args:
        graph: the graph, or the path of a file with one.
        inputs: `[T, B, *]`, or one such array for each Input by name.
        dt: seconds per step; by default what the graph's metadata say, else 1e-4.
        reset: `'hard'` or `'soft'`; by default what the metadata of each node say, else `'hard'`.
        threshold: `'>'` or `'>='`, whether neurons fire only above or also at their threshold; by
            default what the metadata say, else `'>'`.
        cut: `'neuron'` or `'current'`, where the one-step delay of a loop sits.
        if_dt: seconds per step of IF nodes, where it differs from `dt`.
        record: nodes to trace, `OUTER/INNER` inside nested graphs.
        dtype: of the arithmetic.

    Raises:
        FileNotFoundError, NIRFileError: the file is missing or no NIR file.
        NIRGraphError: the graph is malformed or does not fit `dt`; names node and field.
        NotSupportedError: a nested graph with several Inputs or Outputs, 'same' with a stride.
        ValueError, TypeError: inputs that do not fit, an argument out of range.
    """
    program = compile_graph(
        graph, dt, reset=reset, threshold=threshold, cut=cut, if_dt=if_dt, dtype=dtype
    )
    return program.run(inputs, record)


def compile_graph(
    graph: nir.NIRGraph | str | os.PathLike[str],
    dt: float | None = None,
    *,
    reset: str | None = None,
    threshold: str | None = None,
    cut: str = "neuron",
    if_dt: float | None = None,
    dtype: DTypeLike = np.float64,
) -> Program:
    """Check a graph completely and make it ready to run; arguments as :func:`interpret`."""
    if not isinstance(graph, nir.NIRGraph):
        if not isinstance(graph, str | os.PathLike):
            raise TypeError(f"graph must be a nir.NIRGraph or a path, got {type(graph).__name__}")
        graph = read_graph(graph)
    return Program(flatten(graph), Rule.of(graph, dt, if_dt, reset, threshold, cut, dtype))


class Program:
    """A checked graph that can be run any number of times.

    Attributes:
        graph: the graph without nesting.
        rule: how it is stepped.
        plan: the order of the nodes and the edges with a delay.
        shapes: output shape of each node, no batch and no time axis.
    """

    def __init__(self, graph: FlatGraph, rule: Rule) -> None:
        self.graph, self.rule = graph, rule
        self.plan: Schedule = schedule(graph, rule.cut)
        self.shapes: dict[str, Shape] = {}
        self.cells: dict[str, Neuron | Delay] = {}
        self.functions: dict[str, Function] = {}
        self._build()

    # shapes and parameters

    def _build(self) -> None:
        for name in self.graph.inputs:
            node: Any = self.graph.nodes[name]
            shape = shape_of(node.input_type["input"], name, "shape")
            if shape is None:
                raise NIRGraphError(
                    "is missing; an Input states its shape", node=name, field="shape"
                )
            self.shapes[name] = shape
        for name, node in self.graph.nodes.items():
            if isinstance(node, NEURONS):
                self.cells[name] = Neuron(node, name, self.rule)
            elif isinstance(node, nir.Delay):
                self.cells[name] = Delay(node, name, self.rule)
            if name in self.cells and self.cells[name].shape:
                self.shapes[name] = self.cells[name].shape
        waiting = [name for name in self.plan.order if name not in self.shapes]
        while waiting:
            left = [name for name in waiting if not self._build_node(name)]
            if len(left) == len(waiting):
                raise NIRGraphError("its shape cannot be told from the graph", node=left[0])
            waiting = left
        for name, sources in self.graph.sources.items():
            self._check_sources(name, sources)
        for name, node in self.graph.gates.items():
            self._check_sources(name, self.graph.gate_sources[name])
            stateless(node, name, self.shapes[self.graph.gate_sources[name][0]], self.rule)

    def _build_node(self, name: str) -> bool:
        known = [self.shapes[s] for s in self.graph.sources[name] if s in self.shapes]
        if not known:
            return False
        if name in self.cells:  # of shape (), which only fits what has one number per sample
            self.cells[name].check_input(known[0])
            self.shapes[name] = ()
            return True
        built = stateless(self.graph.nodes[name], name, known[0], self.rule)
        self.shapes[name], self.functions[name] = built
        return True

    def _check_sources(self, name: str, sources: list[str]) -> None:
        incoming = {source: self.shapes[source] for source in sources}
        if len(set(incoming.values())) > 1:
            shown = ", ".join(f"{shape} from {source!r}" for source, shape in incoming.items())
            raise NIRGraphError(f"adds up inputs of different shapes: {shown}", node=name)
        if name in self.cells and incoming:
            self.cells[name].check_input(next(iter(incoming.values())))

    @property
    def margin_nodes(self) -> dict[str, np.ndarray]:
        """The nodes that fire, and their thresholds."""
        found = {
            name: cell.p["v_threshold"]
            for name, cell in self.cells.items()
            if isinstance(cell, Neuron) and cell.spiking
        }
        for name, node in self.graph.nodes.items():
            if isinstance(node, nir.Threshold):
                found[name] = floats(node, name, "threshold")
        return found

    def in_position(self, names: Iterable[str]) -> tuple[str, ...]:
        """Inputs or Outputs in the order that the exported network had them, else by name."""

        def place(name: str) -> tuple[float, str]:
            number = recorded_single(self.graph.nodes[name], name, "position")
            return (float("inf") if number is None else number), name

        return tuple(sorted(names, key=place))

    # running

    def run(
        self,
        inputs: Inputs,
        record: Iterable[str] = (),
        forced: Mapping[str, np.ndarray] | None = None,
    ) -> Outputs:
        """Compute all steps from the initial state.

        Args:
            inputs: `[T, B, *]`, or one such array for each Input by name.
            record: names of nodes to trace.
            forced: outputs `[T, B, *]` of nodes, as some other software computed them: what comes
                after a node gets these in place of the node's own, and a neuron resets by them.
                The traces keep the node's own.

        Raises:
            ValueError, TypeError: inputs or names that do not fit the graph.
        """
        values = self._checked_inputs(inputs)
        steps, batch, *_ = values[self.graph.inputs[0]].shape
        record = tuple(record)
        for name in record:
            if name not in self.graph.nodes:
                raise ValueError(
                    f"record: there is no node {name!r}; the nodes are {listed(self.graph.nodes)}"
                )
        recorder = Recorder(steps, record)
        for cell in self.cells.values():
            cell.start(batch)
        run = _Run(self, values, dict(forced or {}), recorder, (steps, batch))
        for component in self.plan.components:
            run.component(component)
        outputs = {name: run.values[name] for name in self.graph.outputs}
        return Outputs(outputs, recorder.traces, recorder.margins)

    def _checked_inputs(self, inputs: Inputs) -> dict[str, np.ndarray]:
        names = self.graph.inputs
        if not isinstance(inputs, Mapping):
            first, *others = names
            if others:
                raise ValueError(f"the graph has the Inputs {listed(names)}; pass a dict of arrays")
            inputs = {first: inputs}
        if set(inputs) != set(names):
            raise ValueError(f"expected inputs for {listed(names)}, got {listed(inputs)}")
        values: dict[str, np.ndarray] = {}
        for name in names:
            value = np.asarray(inputs[name])
            if value.dtype.kind not in "biuf":
                raise TypeError(f"input {name!r}: expected numbers, got {value.dtype}")
            shape = self.shapes[name]
            if value.ndim < 2 or value.shape[2:] != shape or 0 in value.shape[:2]:
                axes = ", ".join(["T", "B", *map(str, shape)])
                raise ValueError(f"input {name!r}: expected [{axes}], got {list(value.shape)}")
            values[name] = value.astype(self.rule.dtype)
        if len({value.shape[:2] for value in values.values()}) > 1:
            shown = {name: value.shape[:2] for name, value in values.items()}
            raise ValueError(f"inputs differ in [T, B]: {shown}")
        return values


class _Run:
    """The values of one run; those that nothing reads any more are dropped."""

    def __init__(
        self,
        program: Program,
        values: dict[str, np.ndarray],
        forced: dict[str, np.ndarray],
        recorder: Recorder,
        lead: tuple[int, int],
    ) -> None:
        self.program, self.values, self.forced = program, values, forced
        self.recorder, self.lead = recorder, lead
        self.thresholds = {
            name: threshold
            for name, threshold in program.margin_nodes.items()
            if name in program.functions
        }
        self.readers = {name: len(targets) for name, targets in program.graph.targets.items()}
        for name, value in values.items():
            recorder.whole(name, value)

    def component(self, component: Component) -> None:
        if component.cyclic:
            self._loop(component)
        elif component.names[0] not in self.program.graph.inputs:
            self._node(component.names[0])
        for name in component.names:
            for source in self.program.graph.sources[name]:
                self.readers[source] -= 1
                if not self.readers[source]:
                    del self.values[source]

    def _node(self, name: str) -> None:
        sources = self.program.graph.sources[name]
        x_seq = sum((self.values[s] for s in sources[1:]), start=self.values[sources[0]])
        cell = self.program.cells.get(name)
        forced = self.forced.get(name)
        if isinstance(cell, Delay):
            own = cell.run(x_seq)
        elif isinstance(cell, Neuron):
            own = np.empty_like(x_seq)
            for t, x in enumerate(x_seq):
                own[t] = cell.step(x, None if forced is None else forced[t])
                self.recorder.memories(name, t, cell)
        else:
            steps, batch = self.lead
            flat = x_seq.reshape(steps * batch, *x_seq.shape[2:])
            result = self.program.functions[name](flat)
            own = result.reshape(steps, batch, *result.shape[1:])
            if name in self.thresholds:
                for t, x in enumerate(x_seq):
                    self.recorder.compared(name, t, x, self.thresholds[name])
        self.recorder.whole(name, own)
        self.values[name] = own if forced is None else forced.astype(own.dtype)

    def _loop(self, component: Component) -> None:
        """All steps of nodes that depend on each other."""
        steps, batch = self.lead
        shapes, dtype = self.program.shapes, self.program.rule.dtype
        for name in component.names:
            self.values[name] = np.empty((steps, batch, *shapes[name]), dtype)
        passed = {  # what the delayed edges carry
            name: np.zeros((batch, *shapes[name]), dtype) for name in component.names
        }
        for t in range(steps):
            before, passed = passed, {}
            for name in component.names:
                x = self._incoming(name, t, before, passed)
                own = self._step(name, x, t)
                self.recorder.step(name, t, own)
                forced = self.forced.get(name)
                passed[name] = own if forced is None else forced[t].astype(dtype)
                self.values[name][t] = passed[name]

    def _incoming(
        self, name: str, t: int, before: dict[str, np.ndarray], passed: dict[str, np.ndarray]
    ) -> np.ndarray:
        terms = [
            before[source]
            if (source, name) in self.program.plan.delayed
            else passed[source]
            if source in before
            else self.values[source][t]
            for source in self.program.graph.sources[name]
        ]
        return sum(terms[1:], start=terms[0])

    def _step(self, name: str, x: np.ndarray, t: int) -> np.ndarray:
        cell = self.program.cells.get(name)
        if isinstance(cell, Neuron):
            forced = self.forced.get(name)
            result = cell.step(x, None if forced is None else forced[t])
            self.recorder.memories(name, t, cell)
            return result
        if isinstance(cell, Delay):
            return cell.step(x)
        if name in self.thresholds:
            self.recorder.compared(name, t, x, self.thresholds[name])
        return self.program.functions[name](x)
