"""What the kernels of a program do, whatever the language: the spec that both emitters print.

Forward: for t = 0 ... T-1 compute the outputs of the step, write the spike, keep the states.

Backward: nothing but the input is kept between the two directions, so the states are computed anew
while the values of the smallest cut are kept per step (the tile), then the adjoint step runs for
t = T-1 ... 0 on them. A spike and a gradient of any step cost one read, one write and no more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from .cut import smallest_cut
from .differentiate import Adjoint, differentiate
from .graph import Graph, Program

__all__ = ["Plan", "plan"]

_DEAR = frozenset(("exp", "sigmoid", "tanh", "log", "pow", "sin", "cos", "atan", "erf"))


@dataclass(frozen=True)
class Plan:
    """A program, its adjoint step, and what is kept per step for the latter."""

    program: Program
    adjoint: Adjoint
    kept: tuple[int, ...]
    reads_input_again: bool

    @property
    def graph(self) -> Graph:
        """The graph that all node numbers refer to."""
        return self.adjoint.graph

    @property
    def has_gradient(self) -> bool:
        """Whether any gradient is other than 0."""
        return bool(self.adjoint.outputs)

    def given(self) -> dict[int, str]:
        """Names of the inputs of both directions, by node."""
        return {i: str(n.value) for i, n in enumerate(self.graph) if n.op == "input"}

    def sparing(self) -> Plan:
        """The same with more values kept where that spares an exponential or the like.

        For a tile in a cache, where room costs little; registers are too few.
        """
        states = self.graph.reached_from(self.program.outputs[1:], values=True)
        dear = {i for i in states if self.graph.nodes[i].op in _DEAR}
        if not dear or not self.has_gradient:
            return self
        kept, again = smallest_cut(self.adjoint, dear)
        return replace(self, kept=kept, reads_input_again=again)


@lru_cache(maxsize=1024)
def plan(program_text: str) -> Plan:
    """The plan of a program, given as text."""
    program = Program.from_text(program_text)
    adjoint = differentiate(program)
    kept, again = smallest_cut(adjoint) if adjoint.outputs else ((), False)
    return Plan(program, adjoint, kept, again)
