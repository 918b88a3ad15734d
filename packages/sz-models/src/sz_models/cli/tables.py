"""Results as a table to read and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["table_lines", "write_csv"]

Row = Mapping[str, str | float]


def table_lines(rows: Sequence[Row]) -> list[str]:
    """Aligned columns with their names above; numbers have about five digits."""
    cells = [list(rows[0])] + [
        [value if isinstance(value, str) else _number(value) for value in row.values()]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        name, *values = row
        numbers = map(str.rjust, values, widths[1:])
        lines.append("  ".join([name.ljust(widths[0]), *numbers]))
    return lines


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.1f}"


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """All digits of every number, under the columns' names."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
