"""The directive `speed-table` and the plots of the page "How fast", from benchmarks/results.

    ```{speed-table} lif
    ```

shows a table of speed_tables.TABLES for the measurement on a CPU; `:gpu:` shows it for each one on
a GPU, if there is any.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import matplotlib
import numpy as np
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from speed_tables import NAMES, RESULTS, TABLES, Row, Table, chart, fused, results, size, table

matplotlib.use("Agg")

import matplotlib.pyplot as plt


class SpeedTable(SphinxDirective):
    """A table of one kind, in the language of the page."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"gpu": directives.flag}

    def run(self) -> list[nodes.Node]:
        kind = self.arguments[0]
        if kind not in TABLES:
            raise self.error(f"no speed table {kind!r}; there are {', '.join(TABLES)}")
        language = "zh" if self.env.docname.startswith("zh/") else "en"
        for path in RESULTS.glob("*.json"):
            self.env.note_dependency(str(path))
        wants_gpu = "gpu" in self.options
        chosen = [
            r for r in results() if (r["settings"].get("device", "cpu") != "cpu") == wants_gpu
        ]
        found = [table(kind, result, language) for result in chosen]
        if not wants_gpu and not any(made.rows for made in found):
            raise self.error(f"no file in benchmarks/results has the part {kind!r}")
        return [drawn(made) for made in found if made.rows]


def drawn(made: Table) -> nodes.table:
    """A table as docutils has it."""
    group = nodes.tgroup(cols=len(made.head))
    group += [nodes.colspec(colwidth=1) for _ in made.head]
    head, body = nodes.thead(), nodes.tbody()
    head += line_of(made.head)
    body += [line_of(line) for line in made.rows]
    group += [head, body]
    return nodes.table("", group)


def line_of(cells: list[str]) -> nodes.row:
    """One line of a table."""
    line = nodes.row()
    line += [nodes.entry("", nodes.paragraph(text=cell)) for cell in cells]
    return line


def draw_lif(result: Row, file: Path) -> None:
    """Times over the floor, a panel per direction."""
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    for ax, direction in zip(axes, ("forward", "both"), strict=True):
        sizes, bars = chart(result["lif"], direction)
        width = 0.8 / len(bars)
        for i, (name, values) in enumerate(bars.items()):
            places = np.arange(len(sizes)) + (i - (len(bars) - 1) / 2) * width
            ax.bar(places, values, width, label=NAMES[name])
        ax.axhline(1, color="0.3", linewidth=1)
        ax.set_xticks(range(len(sizes)), sizes, fontsize=8)
        ax.set(title="forward" if direction == "forward" else "forward + backward", yscale="log")
    axes[0].set_ylabel("time / memory floor")
    axes[0].legend(fontsize=8)
    save(fig, file)


def draw_neurons(result: Row, file: Path) -> None:
    """Times over the torch backend, forward and backward, a bar per neuron."""
    first = size(result["neurons"][0])
    rows = [r for r in result["neurons"] if r["direction"] == "both" and size(r) == first]
    gains = [(r["times"]["torch"]["ms"] / r["times"][fused(r)]["ms"], r["neuron"]) for r in rows]
    gains.sort()
    fig, ax = plt.subplots(figsize=(8, 0.5 + 0.24 * len(gains)), layout="constrained")
    ax.barh([name for _, name in gains], [value for value, _ in gains])
    ax.axvline(2, color="0.3", linewidth=1)
    ax.set(title=f"forward + backward at {first}", xlabel="times faster than the torch backend")
    ax.tick_params(axis="y", labelsize=8)
    save(fig, file)


def save(fig: Any, file: Path) -> None:
    """Write a figure."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(file, dpi=110)
    plt.close(fig)


def draw(app: Sphinx) -> None:
    """The plots of the measurement on a CPU."""
    folder = Path(app.srcdir) / "api" / "generated"
    result = next(r for r in results() if r["settings"].get("device") == "cpu")
    draw_lif(result, folder / "speed-lif.png")
    draw_neurons(result, folder / "speed-neurons.png")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("speed-table", SpeedTable)
    app.connect("builder-inited", draw, priority=600)  # after api_pages, which clears the folder
    return {"parallel_read_safe": True}
