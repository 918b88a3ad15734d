"""The directive `model-table`: the zoo by family, with sizes counted and accuracies as published.

Parameters and published numbers come from `sj_models.zoo`; neurons and multiply-accumulates are
counted by `sj_models.cost` on the `meta` device, so that no weight is ever made.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import cache
from itertools import groupby
from typing import NamedTuple

import torch
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from sj_models import create_model
from sj_models.cost import costs
from sj_models.zoo import ZOO, ModelRecord
from sj_neurons import functional

HEAD = {
    "en": (
        "model", "parameters", "neurons (layers)", "MACs per step", "published accuracy", "source",
    ),
    "zh": ("模型", "参数", "神经元 (层)", "每步 MAC", "公开的准确率", "来源"),
}  # fmt: skip
INPUT = {"en": "input {}", "zh": "输入 {}"}


class Cost(NamedTuple):
    """Neurons, and multiply-accumulates of one sample and step."""

    neurons: int
    macs: int


@cache
def cost_of(record: ModelRecord) -> Cost:
    """Counted, not computed; models of fixed T run all of it."""
    parameters = inspect.signature(record.builder()).parameters
    steps = parameters["T"].default if "T" in parameters else 1
    steps = steps if isinstance(steps, int) else 4
    chosen = {name for name in ("neuron", "spiking_neuron") if name in parameters}
    required = {"T": steps} if "T" in parameters else {}
    with torch.device("meta"):
        model = create_model(record.name, neuron="IF" if chosen else None, **required)
        takes_images = record.family in ("csnn",)  # it repeats them itself
        lead = (1,) if takes_images else (steps, 1)
        x = torch.zeros(*lead, *record.input_shape)
    functional.set_step_mode(model, "m")
    total = costs(model, x)[-1]
    return Cost(total.neurons, total.macs // steps)


def short(number: int) -> str:
    """Three digits and a unit."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)


def row(record: ModelRecord) -> tuple[str, ...]:
    """The cells of one line."""
    cost = cost_of(record)
    return (
        f"`{record.name}`",
        f"{record.parameters:,}",
        f"{short(cost.neurons)} ({record.neurons})",
        short(cost.macs),
        record.accuracy,
        record.source,
    )


def line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def table(records: list[ModelRecord], language: str) -> str:
    """A table in Markdown; columns that nothing stands in are left out."""
    rows = [row(record) for record in records]
    kept = [i for i in range(len(HEAD[language])) if any(cells[i] for cells in rows)]
    marks = ("---", "--:", "--:", "--:", "---", "---")
    return "\n".join(line(cells[i] for i in kept) for cells in (HEAD[language], marks, *rows))


def tables(language: str) -> str:
    """Markdown: a heading line and a table per family, in the order of the zoo."""
    parts: list[str] = []
    for family, members in groupby(ZOO.values(), key=lambda record: record.family):
        records = list(members)
        shapes = sorted({record.input_shape for record in records})
        shown = ", ".join("`[" + ", ".join(map(str, shape)) + "]`" for shape in shapes)
        parts.append(f"{{py:mod}}`sj_models.{family}`, {INPUT[language].format(shown)}")
        parts.append(table(records, language))
    return "\n\n".join(parts)


class ModelTable(SphinxDirective):
    """The tables, in the language of the page."""

    def run(self) -> list[nodes.Node]:
        language = "zh" if self.env.docname.startswith("zh/") else "en"
        return self.parse_text_to_nodes(tables(language))


def keep_signatures(app: Sphinx) -> None:
    """Builders show more arguments than their source has, which autodoc would look up there."""
    for record in ZOO.values():
        builder = record.builder()
        if inspect.isfunction(builder) and hasattr(builder, "__signature__"):
            vars(builder)["__wrapped__"] = ModelRecord  # a source without arguments


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("model-table", ModelTable)
    app.connect("builder-inited", keep_signatures)
    return {"parallel_read_safe": True}
