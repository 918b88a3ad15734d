"""The nodes with weights, and the way between nodes."""

from __future__ import annotations

from collections.abc import Iterator

import nir

from ...interpreter import Program

__all__ = ["NEURONS", "PASSING", "WEIGHTS", "neuron_nodes", "weight_nodes"]

WEIGHTS = (nir.Conv1d, nir.Conv2d, nir.Affine, nir.Linear)
NEURONS = (nir.I, nir.IF, nir.LI, nir.LIF, nir.CubaLI, nir.CubaLIF)
PASSING = (nir.SumPool2d, nir.AvgPool2d, nir.Flatten)  # what may lie between two cores


def weight_nodes(program: Program) -> Iterator[str]:
    """Names of the nodes with weights."""
    return (name for name, node in program.graph.nodes.items() if isinstance(node, WEIGHTS))


def neuron_nodes(program: Program) -> Iterator[str]:
    """Names of the nodes that are neurons."""
    return (name for name, node in program.graph.nodes.items() if isinstance(node, NEURONS))
