"""What a chip can hold, where that is written, and what a graph has in excess of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..interpreter import Program

__all__ = ["Finding", "Limit", "Rule", "Target", "report"]

Rule = Callable[[Program, "Limit"], Iterator["Finding"]]


@dataclass(frozen=True)
class Limit:
    """One limit of a target.

    Attributes:
        what: the quantity, for reports.
        value: the largest number, the numbers that are possible, or what else the rule needs.
        unit: of the value.
        source: title and address of the document that states it.
        rule: a function of :mod:`sj_nir.targets.rules`, or of one's own, that yields what
            violates the limit.
    """

    what: str
    value: Any
    unit: str
    source: str
    rule: Rule

    @property
    def shown(self) -> str:
        """Value and unit as text."""
        value = self.value
        if isinstance(value, tuple):
            parts = ("/".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in value)
            value = ", ".join(parts)
        return f"{value} {self.unit}".strip()


@dataclass(frozen=True)
class Finding:
    """A limit that a graph violates.

    Attributes:
        node: name of the node, `None` where it is about the whole graph.
        field: its field, `None` where it is not about one.
        limit: what is violated; with value and source.
        found: what the graph has.
    """

    node: str | None
    field: str | None
    limit: Limit
    found: str

    @property
    def source(self) -> str:
        """Where the limit is stated."""
        return self.limit.source

    def __str__(self) -> str:
        where = "graph" if self.node is None else f"node {self.node!r}"
        where += "" if self.field is None else f", field {self.field!r}"
        return f"{where}: {self.limit.what}: {self.found} (limit: {self.limit.shown})"


@dataclass(frozen=True)
class Target:
    """A chip, or software for a chip.

    Attributes:
        name: for :func:`sj_nir.targets.get` and the command.
        title: for people.
        nodes: types of nodes that it takes besides Input and Output, `None` if not known.
        nodes_source: title and address of the document that lists them.
        limits: what else is known. What no document states is not checked.
    """

    name: str
    title: str
    nodes: tuple[str, ...] | None
    nodes_source: str
    limits: tuple[Limit, ...]


def report(findings: list[Finding], target: Target) -> str:
    """Findings of :func:`sj_nir.targets.check` as text, one a line, with the numbers of sources."""
    if not findings:
        return f"{target.name}: nothing found ({target.title})"
    sources = list(dict.fromkeys(finding.source for finding in findings))
    count = f"{len(findings)} finding{'s' if len(findings) > 1 else ''}"
    lines = [f"{target.name}: {count} ({target.title})"]
    lines += [f"  {finding} [{sources.index(finding.source) + 1}]" for finding in findings]
    lines += [f"  [{number}] {source}" for number, source in enumerate(sources, 1)]
    return "\n".join(lines)
