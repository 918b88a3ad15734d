"""A network against a NIR graph: which node differs first, and at which step.

Every node of the graph gets what the network's own modules put out before it, so that each is
checked alone: an error in one does not spread to those behind it, nor to later steps. A neuron is
reset by the network's spikes. Spikes may differ where |h - v_threshold| is below a margin.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import nir
import numpy as np
import torch
from torch import Tensor, nn

from .errors import NIRError
from .imported import ImportedNet
from .interpreter import Outputs, Program, compile_graph
from .recorded import Call, Recorded, matching_calls, record_outputs

__all__ = ["Difference", "Report", "VerificationError", "verify"]

Example = Tensor | Sequence[Tensor] | Mapping[str, Tensor]


class VerificationError(NIRError):
    """A network computes something else than a graph."""


@dataclass(frozen=True)
class Difference:
    """Where the network and one node of the graph part.

    Attributes:
        node: name in the graph.
        kind: class of the node.
        step: the first step with a difference.
        sample, index: place of the largest difference at that step, in the batch and in the sample.
        net, graph: what the two have there.
        largest: largest difference over all steps, infinity or NaN included.
        steps: number of steps with a difference.
    """

    node: str
    kind: str
    step: int
    sample: int
    index: tuple[int, ...]
    net: float
    graph: float
    largest: float
    steps: int

    def __str__(self) -> str:
        return (
            f"node {self.node!r} ({self.kind}) from step {self.step} on: at sample {self.sample}, "
            f"index {self.index} the network has {self.net:.7g}, the graph {self.graph:.7g}; "
            f"{self.steps} steps differ, by at most {self.largest:.3g}"
        )


@dataclass(frozen=True)
class Report:
    """What :func:`verify` found.

    Attributes:
        differences: the earliest first, of one step the one nearest to the inputs.
        compared: nodes that were compared, Outputs included.
        left_out: nodes that could not be matched with a module, or whose values do not fit.
        steps, batch: length and number of the sequences.
        near_threshold: spikes that differ within the margin around the threshold, which count as
            equal.
        notes: what to know about the comparison.
    """

    differences: tuple[Difference, ...]
    compared: tuple[str, ...]
    left_out: tuple[str, ...]
    steps: int
    batch: int
    near_threshold: int = 0
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    @property
    def first(self) -> Difference | None:
        """The first difference."""
        return self.differences[0] if self.differences else None

    def raise_if_different(self) -> None:
        """Turn the report into an error.

        Raises:
            VerificationError: there are differences; the text is that of the report.
        """
        if self.first is not None:
            raise VerificationError(str(self), node=self.first.node)

    def __str__(self) -> str:
        size = f"{len(self.compared)} nodes, {self.steps} steps, {self.batch} samples"
        lines = [f"equal ({size})" if self.ok else f"different ({size})"]
        lines += [f"  {difference}" for difference in self.differences]
        if self.near_threshold:
            lines.append(f"  {self.near_threshold} spikes at the threshold decided by rounding")
        if self.left_out:
            lines.append(f"  not compared: {', '.join(map(repr, self.left_out))}")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def verify(
    net: nn.Module,
    graph: nir.NIRGraph | str | os.PathLike[str],
    example: Example,
    dt: float | None = None,
    *,
    reset: str | None = None,
    threshold: str | None = None,
    cut: str = "neuron",
    if_dt: float | None = None,
    nodes: Mapping[str, str] | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    margin: float = 1e-5,
) -> Report:
    """Run a network and a NIR graph on the same input and compare them node by node.

    A copy of `net` runs in eval mode from its reset state, in its own step mode. The graph is
    computed by :func:`sj_nir.interpret`, which shares no code with the import into torch.

    Args:
        net: the network that was exported to `graph`, imported from it, or meant to equal it.
        graph: the graph, or the path of a file with one.
        example: `[T, N, *]`, or one step `[N, *]`; for several Inputs a sequence in the order of
            `forward`, or a dict by name.
        dt, reset, threshold, cut, if_dt: as in :func:`sj_nir.interpret`; those that an imported
            network was imported with.
        nodes: node -> path of the module that stands for it, where the names of export do not
            tell.
        rtol, atol: tolerance for everything but spikes.
        margin: spikes may differ where |h - v_threshold| <= margin * max(1, |v_threshold|).

    Raises:
        NIRError, OSError: as :func:`sj_nir.interpret`.
        ValueError, TypeError: an example or an output of the network that does not fit the graph.
    """
    program = compile_graph(graph, dt, reset=reset, threshold=threshold, cut=cut, if_dt=if_dt)
    inputs = _named_inputs(net, program, example)
    calls = matching_calls(net, program.graph.nodes)
    calls.update(_chosen(net, program, nodes or {}))
    by_name = isinstance(net, ImportedNet) or isinstance(example, Mapping)
    passed = inputs if by_name else list(inputs.values())
    recorded = record_outputs(net, passed, calls, program.shapes)
    arrays = {name: _array(x) for name, x in inputs.items()}
    watched = {*recorded.nodes, *program.margin_nodes}
    own = program.run(arrays, watched, recorded.nodes)
    comparison = _Comparison(program, own, recorded, rtol, atol, margin)
    return comparison.report(_by_output(recorded, program))


# the example and the results


def _named_inputs(net: nn.Module, program: Program, example: Example) -> dict[str, Tensor]:
    """`[T, N, *]` by the name of the Input."""
    names = program.in_position(program.graph.inputs)
    if isinstance(net, ImportedNet):
        names = net.input_names
    if isinstance(example, Mapping):
        if set(example) != set(names):
            raise ValueError(f"example: expected {', '.join(names)}, got {', '.join(example)}")
        found = {name: example[name] for name in names}
    else:
        values = [example] if isinstance(example, Tensor) else list(example)
        if len(values) != len(names):
            raise ValueError(
                f"example: the graph has the Inputs {', '.join(names)}, got {len(values)} tensors"
            )
        found = dict(zip(names, values, strict=True))
    return {name: _sequence(name, x, program.shapes[name]) for name, x in found.items()}


def _sequence(name: str, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(f"example: expected a tensor for {name!r}, got {type(x).__name__}")
    lead = x.dim() - len(shape)
    if lead not in (1, 2) or tuple(x.shape[lead:]) != shape:
        axes = ", ".join(map(str, shape))
        raise ValueError(
            f"example: Input {name!r} takes [T, N, {axes}] or [N, {axes}], got {list(x.shape)}"
        )
    return x if lead == 2 else x.unsqueeze(0)


def _array(x: Tensor) -> np.ndarray:
    return x.detach().to("cpu", torch.float64).numpy()


def _chosen(net: nn.Module, program: Program, nodes: Mapping[str, str]) -> dict[str, Call]:
    paths = dict(net.named_modules())
    for name, path in nodes.items():
        if name not in program.graph.nodes:
            raise ValueError(f"nodes: there is no node {name!r} in the graph")
        if path not in paths:
            raise ValueError(f"nodes: there is no module {path!r} in the network")
    return {name: Call(path) for name, path in nodes.items()}


def _by_output(recorded: Recorded, program: Program) -> dict[str, np.ndarray]:
    names = program.in_position(program.graph.outputs)
    found = recorded.outputs
    if isinstance(found, list):
        if len(found) != len(names):
            raise ValueError(
                f"the network returns {len(found)} tensors, the graph has the Outputs "
                f"{', '.join(names)}"
            )
        found = dict(zip(names, found, strict=True))
    if set(found) != set(names):
        raise ValueError(
            f"the network returns {', '.join(found)}, the graph has the Outputs {', '.join(names)}"
        )
    return found


# the comparison


@dataclass(frozen=True)
class _Comparison:
    program: Program
    own: Outputs
    recorded: Recorded
    rtol: float
    atol: float
    margin: float

    def report(self, outputs: Mapping[str, np.ndarray]) -> Report:
        pairs = {
            name: (self.recorded.nodes[name], self.own.traces[name]["out"])
            for name in self.program.plan.order
            if name in self.recorded.nodes
        }
        compared = {name: self._compare(name, *pair) for name, pair in pairs.items()}
        for name, theirs in outputs.items():
            mine = self.own.outputs[name]
            if theirs.shape != mine.shape:
                raise ValueError(
                    f"the network's output for {name!r} has shape {theirs.shape} as [T, N, *], "
                    f"the graph's {mine.shape}"
                )
            compared[name] = self._compare(name, theirs, mine)
        order = {name: place for place, name in enumerate(self.program.plan.order)}
        differences = sorted(
            (found for found, _ in compared.values() if found is not None),
            key=lambda found: (found.step, order[found.node]),
        )
        ends = (*self.program.graph.inputs, *self.program.graph.outputs)
        steps, batch = next(iter(outputs.values())).shape[:2]
        return Report(
            tuple(differences),
            tuple(compared),
            tuple(n for n in self.program.plan.order if n not in compared and n not in ends),
            steps,
            batch,
            sum(near for _, near in compared.values()),
            tuple(self._notes(bool(differences))),
        )

    def _compare(
        self, name: str, theirs: np.ndarray, mine: np.ndarray
    ) -> tuple[Difference | None, int]:
        """The difference, and how many spikes differ within the margin."""
        wrong = ~np.isclose(theirs, mine, rtol=self.rtol, atol=self.atol)
        tolerated = wrong & self._undecided(name, theirs)
        wrong &= ~tolerated
        if not wrong.any():
            return None, int(tolerated.sum())
        steps = np.flatnonzero(wrong.any(axis=tuple(range(1, wrong.ndim))))
        gap = np.where(wrong, np.abs(theirs - mine), -1.0)
        place = np.unravel_index(
            int(np.nan_to_num(gap[steps[0]], nan=np.inf).argmax()), gap[0].shape
        )
        found = Difference(
            node=name,
            kind=type(self.program.graph.nodes[name]).__name__,
            step=int(steps[0]),
            sample=int(place[0]),
            index=tuple(int(i) for i in place[1:]),
            net=float(theirs[steps[0]][place]),
            graph=float(mine[steps[0]][place]),
            largest=float(gap.max()),
            steps=len(steps),
        )
        return found, int(tolerated.sum())

    def _undecided(self, name: str, theirs: np.ndarray) -> np.ndarray:
        """Where a spike may go either way, because the potential is at the threshold."""
        source = name
        while source not in self.program.margin_nodes:
            before = self.program.graph.sources[source]
            node = self.program.graph.nodes[source]
            if len(before) != 1 or not isinstance(node, nir.Output):
                return np.zeros(theirs.shape, bool)
            source = before[0]
        threshold = self.program.margin_nodes[source]
        close = np.abs(self.own.traces[source]["h"] - threshold)
        allowed = self.margin * np.maximum(1.0, np.abs(threshold))
        return (close <= allowed) & np.isin(theirs, (0.0, 1.0))

    def _notes(self, different: bool) -> Iterator[str]:
        if not self.recorded.nodes:
            yield "no node could be matched with a module: outputs only"
        close = [
            f"{name!r} ({value:.1e})"
            for name, value in self.own.margins.items()
            if value <= self.margin and name not in self.recorded.nodes
        ]
        if different and close:
            yield (
                "rounding may decide spikes of these nodes, which were not compared and came that "
                f"near to their threshold: {', '.join(close)}"
            )
