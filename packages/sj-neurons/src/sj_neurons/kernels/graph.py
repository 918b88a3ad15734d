"""The scalar expressions that a traced step consists of.

A :class:`Graph` holds expressions in static single assignment: a node is an operation on nodes that
came before it, and equal nodes are one node. A :class:`Program` is the graph of one time step with
its outputs named, and has a text form: the text alone determines the kernels, so it travels through
custom operators, cache keys and files.

This module needs neither torch nor the rest of the package.
"""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

__all__ = ["COMPARISONS", "OPERATIONS", "Graph", "Node", "Program"]

# name -> number of arguments. `fire` is (spike, u, derivative of the surrogate at u).
OPERATIONS = {
    "neg": 1, "add": 2, "sub": 2, "mul": 2, "div": 2,
    "lt": 2, "le": 2, "gt": 2, "ge": 2, "eq": 2, "ne": 2, "not": 1, "and": 2, "or": 2,
    "exp": 1, "log": 1, "pow": 2, "sin": 1, "cos": 1, "tanh": 1, "sigmoid": 1, "atan": 1, "erf": 1,
    "abs": 1, "sign": 1, "round": 1, "minimum": 2, "maximum": 2, "where": 3,
    "fire": 3, "detach": 1,
}  # fmt: skip
COMPARISONS = frozenset(("lt", "le", "gt", "ge", "eq", "ne", "not", "and", "or"))
# how many arguments, from the first, are true or false; all others are numbers
_TRUTHS = {"not": 1, "and": 2, "or": 2, "where": 1}


@dataclass(frozen=True)
class Node:
    """`input` with a name, `literal` with a value, or an operation on earlier nodes."""

    op: str
    args: tuple[int, ...] = ()
    value: str | float = 0.0

    @property
    def is_truth(self) -> bool:
        """Whether the value is true or false, not a number."""
        return self.op in COMPARISONS


class Graph:
    """A growing list of nodes without duplicates; nodes are named by their index."""

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.nodes: list[Node] = []
        self._index: dict[tuple[str, tuple[int, ...], str], int] = {}
        for node in nodes:
            self._add(node)

    def _add(self, node: Node) -> int:
        # repr tells 0.0 from -0.0 and finds nan equal to itself
        key = (node.op, node.args, repr(node.value))
        index = self._index.get(key)
        if index is None:
            index = self._index[key] = len(self.nodes)
            self.nodes.append(node)
        return index

    def input(self, name: str) -> int:
        return self._add(Node("input", (), name))

    def literal(self, value: float) -> int:
        return self._add(Node("literal", (), float(value)))

    def op(self, name: str, *args: int) -> int:
        """The node `name(*args)`; what equals one of its arguments exactly is that argument."""
        if len(args) != OPERATIONS[name]:
            raise ValueError(f"{name} takes {OPERATIONS[name]} arguments, got {len(args)}")
        one = self._is_literal(args[-1], 1.0)
        if name in ("mul", "div") and one:
            return args[0]
        if name == "mul" and self._is_literal(args[0], 1.0):
            return args[1]
        if name == "where" and args[1] == args[2]:
            return args[1]
        return self._add(Node(name, args))

    def _is_literal(self, index: int, value: float) -> bool:
        node = self.nodes[index]
        return node.op == "literal" and node.value == value and not math.copysign(1, value) < 0

    def reached_from(
        self, outputs: Iterable[int], *, values: bool = False, until: Container[int] = ()
    ) -> list[int]:
        """The nodes that `outputs` depend on, themselves included, in order.

        With `values`, only those that their values depend on: the argument and the derivative of a
        spike matter to its gradient alone. Nodes in `until` are included, what is behind them not.
        """
        seen: set[int] = set()
        stack = list(outputs)
        while stack:
            index = stack.pop()
            if index not in seen:
                seen.add(index)
                node = self.nodes[index]
                if index not in until:
                    stack.extend(node.args[:1] if values and node.op == "fire" else node.args)
        return sorted(seen)

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)


@dataclass(frozen=True)
class Program:
    """One time step: inputs `x`, `v0 v1 ...` (states), `k0 ...` (numbers), `p0 ...` (parameters).

    Numbers are the same for all neurons and steps and have no gradient; parameters are constant in
    time, have a gradient and may differ from neuron to neuron.
    """

    # the text alone tells programs apart, nan and -0.0 included
    nodes: tuple[Node, ...] = field(compare=False)
    outputs: tuple[int, ...] = field(compare=False)  # spike, new states
    numbers: int = field(compare=False)
    parameters: int = field(compare=False)
    text: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self._text())

    @property
    def states(self) -> int:
        return len(self.outputs) - 1

    def graph(self) -> Graph:
        """A copy of the expressions that may grow."""
        return Graph(self.nodes)

    def has_input(self, name: str) -> bool:
        """Whether an input of this program is called so."""
        count = {"v": self.states, "k": self.numbers, "p": self.parameters}.get(name[:1], 0)
        place = int(name[1:]) if name[1:].isdecimal() else count
        return name == "x" or (place < count and name[1:] == str(place))

    def _text(self) -> str:
        head = json.dumps([list(self.outputs), self.numbers, self.parameters])
        return "\n".join((head, *map(_line, self.nodes)))

    @classmethod
    def from_text(cls, text: str) -> Program:
        """The program that `text` was made from.

        Raises:
            ValueError: this is not the text of a program; names the line.
        """
        head, *lines = text.split("\n")
        try:
            outputs, numbers, parameters = json.loads(head)
            program = cls((), tuple(map(int, outputs)), int(numbers), int(parameters))
        except (ValueError, TypeError) as error:
            raise ValueError(f"not the text of a kernel program: {head!r}") from error
        if program.text != head or not outputs or min(*outputs, numbers, parameters) < 0:
            raise ValueError(f"not the text of a kernel program: {head!r}")
        graph = Graph()
        for i, line in enumerate(lines):
            node = _parsed(line, graph)
            if node.op == "input" and not program.has_input(str(node.value)):
                raise ValueError(f"kernel program: no such input in line {i + 2}: {line!r}")
            # a node that is there already would take another number
            if graph._add(node) != i:
                raise ValueError(f"kernel program: line {i + 2} repeats a node: {line!r}")
        if any(i >= len(graph) or graph.nodes[i].is_truth for i in outputs):
            raise ValueError(f"kernel program: outputs {outputs} are not among its numbers")
        return cls(tuple(graph), program.outputs, program.numbers, program.parameters)

    @classmethod
    def of(cls, graph: Graph, outputs: Sequence[int], numbers: int, parameters: int) -> Program:
        """The program with these outputs, without the nodes that they do not need."""
        kept = graph.reached_from(outputs)
        place = {old: new for new, old in enumerate(kept)}
        nodes = tuple(
            Node(node.op, tuple(place[i] for i in node.args), node.value)
            for node in (graph.nodes[old] for old in kept)
        )
        return cls(nodes, tuple(place[i] for i in outputs), numbers, parameters)


def _parsed(line: str, graph: Graph) -> Node:
    """The node in `line`, which follows those of `graph`."""
    op, *args = line.split(" ")
    node = None
    if op == "input" and len(args) == 1:
        node = Node("input", (), args[0])
    elif op == "literal" and len(args) == 1:
        with suppress(ValueError, OverflowError):
            node = Node("literal", (), float.fromhex(args[0]))
    elif OPERATIONS.get(op) == len(args) and all(a.isdecimal() for a in args):
        operands = tuple(int(a) for a in args)
        if all(i < len(graph) for i in operands):
            truths = [graph.nodes[i].is_truth for i in operands]
            if truths == [place < _TRUTHS.get(op, 0) for place in range(len(operands))]:
                node = Node(op, operands)
    if node is None or _line(node) != line:
        raise ValueError(f"kernel program: cannot read line {len(graph) + 2}: {line!r}")
    return node


def _line(node: Node) -> str:
    if node.op == "literal":
        # as hexadecimal: exact, and valid for infinities and nan
        return f"literal {float(node.value).hex()}"
    if node.op == "input":
        return f"input {node.value}"
    return " ".join((node.op, *map(str, node.args)))
