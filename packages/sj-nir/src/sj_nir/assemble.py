"""A checked graph and its modules put together: an fx graph whose code reads like the NIR graph."""

from __future__ import annotations

import keyword
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Dict  # noqa: UP035

import nir
from torch import fx, nn

from .imported import META, Contents, ImportedNet
from .metadata import number_in
from .ops.table import Shape
from .recurrence import EXTERNAL, INNER, PREVIOUS, Loop, LoopNode, Term
from .topology import NEURONS, Topology

__all__ = ["POSITION", "SHARED", "Parts", "assembled"]

POSITION = "position"  # entry of the record of an Input or Output: place in forward's signature
SHARED = "shared"  # entry of the record of a node: the node that has the same module


@dataclass(frozen=True)
class Parts:
    """What a network is put together from.

    Args:
        graph: the graph, without nested graphs.
        topology: its order and loops.
        shapes: shape of one sample of the output of each node.
        modules: the module of each node but Inputs and Outputs; nodes may share one.
    """

    graph: nir.NIRGraph
    topology: Topology
    shapes: Mapping[str, Shape]
    modules: Mapping[str, nn.Module]


def assembled(parts: Parts, step_mode: str) -> ImportedNet:
    """The network, its modules under names made from those of the nodes."""
    return _Assembly(parts, step_mode).finished()


class _Assembly:
    def __init__(self, parts: Parts, step_mode: str) -> None:
        self.parts, self.step_mode = parts, step_mode
        self.flow = fx.Graph()
        self.values: dict[str, fx.Node] = {}
        self.children: dict[str, nn.Module] = {}
        self.attributes = _Attributes()
        self.contents = Contents(
            nodes=dict.fromkeys(parts.topology.order),
            memories={},
            inputs=_in_position(parts.graph, nir.Input),
            outputs=_in_position(parts.graph, nir.Output),
        )
        self.paths: dict[int, str] = {}  # id of a module -> its attribute

    def finished(self) -> ImportedNet:
        inputs, outputs = self.contents.inputs, self.contents.outputs
        for name in inputs:
            target = "input" if len(inputs) == 1 else self.attributes.new(name)
            self.values[name] = self.flow.create_node("placeholder", target, name=_identifier(name))
        state = self.flow.placeholder("state", Dict[str, Any], default_value=None)  # noqa: UP006
        nodes = self.parts.graph.nodes
        for unit in self.parts.topology.units:
            if unit in self.parts.topology.loops:
                self._loop(unit)
            elif not isinstance(nodes[unit[0]], nir.Input | nir.Output):
                self._node(unit[0])
        results = tuple(self._sum(name) for name in outputs)
        self.flow.output((results[0] if len(results) == 1 else results, state))
        net = ImportedNet(self.children, self.flow)
        net.meta[META] = self.contents
        return net

    def _node(self, name: str) -> None:
        module = self.parts.modules[name]
        call = self.attributes.new(name)
        attribute = self.paths.setdefault(id(module), call)
        self.children[attribute] = module
        self.contents.nodes[name] = attribute
        self.values[name] = self.flow.create_node(
            "call_module", attribute, args=(self._sum(name),), name=call
        )

    def _sum(self, name: str) -> fx.Node:
        first, *others = self.parts.topology.sources[name]
        total = self.values[first]
        for source in others:
            total = self.flow.call_function(operator.add, (total, self.values[source]))
        return total

    def _loop(self, unit: tuple[str, ...]) -> None:
        nodes = self.parts.graph.nodes
        neuron = next((name for name in unit if isinstance(nodes[name], NEURONS)), unit[0])
        attribute = self.attributes.new(f"{neuron}_loop")
        inner = _Attributes()
        names = {name: inner.new(name) for name in unit}
        plan = _Plan(self.parts, unit)
        used = {
            s for t, found in self.parts.topology.sources.items() if t not in names for s in found
        }
        outputs = tuple(i for i, name in enumerate(unit) if name in used)
        loop = Loop(
            {names[name]: self.parts.modules[name] for name in unit},
            tuple(LoopNode(names[name], plan.terms[name]) for name in unit),
            tuple((unit.index(name), self.parts.shapes[name]) for name in plan.delayed),
            outputs,
            self.step_mode,
        )
        self.children[attribute] = loop
        self.contents.nodes.update({name: f"{attribute}.{names[name]}" for name in unit})
        for name, memory in zip(plan.delayed, loop.memory_names, strict=True):
            self.contents.memories[f"{name}_prev_output"] = (attribute, memory)
        arguments = tuple(self.values[source] for source in plan.external)
        call = self.flow.create_node("call_module", attribute, args=arguments, name=attribute)
        for position, number in enumerate(outputs):
            self.values[unit[number]] = (
                call
                if len(outputs) == 1
                else self.flow.call_function(operator.getitem, (call, position))
            )


class _Plan:
    """Where the nodes of a loop take their summands from."""

    def __init__(self, parts: Parts, unit: tuple[str, ...]) -> None:
        topology = parts.topology
        self.external: dict[str, int] = {}
        self.delayed: dict[str, int] = {}

        def term(source: str, target: str) -> Term:
            if source not in unit:
                return EXTERNAL, self.external.setdefault(source, len(self.external))
            if (source, target) in topology.delayed:
                return PREVIOUS, self.delayed.setdefault(source, len(self.delayed))
            return INNER, unit.index(source)

        self.terms = {
            name: tuple(term(source, name) for source in topology.sources[name]) for name in unit
        }


def _in_position(graph: nir.NIRGraph, kind: type[nir.NIRNode]) -> tuple[str, ...]:
    """Names of the Inputs or Outputs: as the exported `forward` had them, else by alphabet."""
    found = {name: node for name, node in graph.nodes.items() if isinstance(node, kind)}

    def place(name: str) -> tuple[float, str]:
        position = number_in(found[name], name, POSITION)
        return (float("inf") if position is None else position), name

    return tuple(sorted(found, key=place))


# names


def _identifier(name: str) -> str:
    word = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    word = f"_{word}" if word[0].isdigit() else word
    return f"{word}_" if keyword.iskeyword(word) or word in ("self", "state") else word


class _Attributes:
    """Hands out valid, free attribute names."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._probe: Callable[[str], bool] = _taken_by_torch

    def new(self, name: str) -> str:
        attribute = _identifier(name)
        while attribute in self._taken or self._probe(attribute):
            attribute += "_"
        self._taken.add(attribute)
        return attribute


def _taken_by_torch(name: str) -> bool:
    return hasattr(ImportedNet, name) or name in _INSTANCE_ATTRIBUTES


_INSTANCE_ATTRIBUTES = {
    *vars(ImportedNet(nn.Module(), fx.Graph())),
    *vars(Loop({}, (), (), ())),
    *dir(Loop),
}
