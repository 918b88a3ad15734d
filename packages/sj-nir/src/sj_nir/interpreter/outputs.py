"""What a run of a graph gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from .stateful import Neuron

__all__ = ["Outputs", "Recorder"]


@dataclass(frozen=True)
class Outputs:
    """Results of :func:`sj_nir.interpret`.

    Attributes:
        outputs: `[T, B, *]` of each Output, by name.
        traces: for each recorded node `{'out': [T, B, *]}`, and for neurons `'v'`, the potential
            after the step, `'h'`, before its reset, and `'i'`, the synaptic current; for a
            Threshold `'h'` is its input.
        margins: for each node that fires, min |h - threshold|, how near to firing or not it came.
    """

    outputs: dict[str, np.ndarray]
    traces: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    margins: dict[str, float] = field(default_factory=dict)

    @property
    def out(self) -> np.ndarray:
        """The output of a graph that has one.

        Raises:
            ValueError: it has several.
        """
        if len(self.outputs) > 1:
            names = ", ".join(map(repr, self.outputs))
            raise ValueError(f"the graph has the Outputs {names}; use .outputs[name]")
        return next(iter(self.outputs.values()))

    @property
    def margin(self) -> float:
        """The smallest of the margins, infinity without neurons that fire."""
        return min(self.margins.values(), default=float("inf"))


class Recorder:
    """Collects the traces of chosen nodes, and every neuron's distance from its threshold."""

    def __init__(self, steps: int, names: Iterable[str]) -> None:
        self.steps = steps
        self.traces: dict[str, dict[str, np.ndarray]] = {name: {} for name in names}
        self.margins: dict[str, float] = {}

    def whole(self, name: str, value: np.ndarray) -> None:
        """All outputs `[T, B, *]` of a node."""
        if name in self.traces:
            self.traces[name]["out"] = value

    def step(self, name: str, t: int, value: np.ndarray) -> None:
        """The output `[B, *]` of a node at step t."""
        if name in self.traces:
            self._place(name, "out", t, value)

    def near(self, name: str, h: np.ndarray, threshold: np.ndarray) -> None:
        """How near `h` comes to the threshold."""
        nearest = float(np.abs(h - threshold).min())
        self.margins[name] = min(nearest, self.margins.get(name, nearest))

    def compared(self, name: str, t: int, h: np.ndarray, threshold: np.ndarray) -> None:
        """What a Threshold compares at step t."""
        self.near(name, h, threshold)
        if name in self.traces:
            self._place(name, "h", t, h)

    def memories(self, name: str, t: int, neuron: Neuron) -> None:
        """The state of a neuron after step t."""
        if neuron.spiking:
            self.near(name, neuron.h, neuron.p["v_threshold"])
        if name in self.traces:
            for key, value in neuron.memories().items():
                self._place(name, key, t, value)

    def _place(self, name: str, key: str, t: int, value: np.ndarray) -> None:
        if key not in self.traces[name]:
            self.traces[name][key] = np.empty((self.steps, *value.shape), value.dtype)
        self.traces[name][key][t] = value
