"""The directive `nir-table`: NIR nodes and the modules that they come from and become.

Made from the table of sj_nir, so that it cannot be out of date.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from sj_nir.ops.table import Op, rows

HEAD = {
    "en": ("NIR node", "modules", "exported as nodes of other rows"),
    "zh": ("NIR 节点", "模块", "导出为其他行的节点"),
}


def modules_of(row: Op) -> str:
    """Ours as links, those of torch as code."""
    names = []
    for kind in row.modules:
        ours = kind.__module__.startswith("sj_")
        path = f"{kind.__module__}.{kind.__name__}"
        names.append(f"{{py:class}}`~{path}`" if ours else f"`nn.{kind.__name__}`")
    return ", ".join(names)


def table(language: str) -> str:
    """A Markdown table, rows by the names of nodes; modules without a node of their own last."""
    node, modules, others = HEAD[language]
    named = sorted((row for row in rows() if row.nodes), key=lambda row: row.nodes[0].__name__)
    lines = [f"| {node} | {modules} |", "|---|---|"]
    for row in named:
        kinds = ", ".join(f"`{kind.__name__}`" for kind in row.nodes)
        lines.append(f"| {kinds} | {modules_of(row)} |")
    rest = ", ".join(modules_of(row) for row in rows() if not row.nodes)
    return "\n".join([*lines, f"| {others} | {rest} |"])


class NirTable(SphinxDirective):
    """The table, in the language of the page."""

    def run(self) -> list[nodes.Node]:
        language = "zh" if self.env.docname.startswith("zh/") else "en"
        return self.parse_text_to_nodes(table(language))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("nir-table", NirTable)
    return {"parallel_read_safe": True}
