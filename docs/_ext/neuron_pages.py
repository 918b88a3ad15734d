"""A membrane plot on the page of each neuron family, and one table of all neurons.

Both come from the classes themselves, so a new neuron appears without an edit here.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import matplotlib
import torch
from sphinx.application import Sphinx
from torch import nn

from sj_neurons import neuron

matplotlib.use("Agg")

import matplotlib.pyplot as plt

STEPS, ON, OFF, CURRENT = 60, 5, 45, 1.1
CAPTION = "Potential and spikes under a constant input of {current} from step {on} to step {off}."


def neurons_by_module() -> dict[str, list[type]]:
    """Module name -> the neuron classes that it defines, in the order of their names."""
    found: dict[str, list[type]] = {}
    for name in sorted(neuron.__all__):
        cls = getattr(neuron, name)
        if inspect.isclass(cls) and issubclass(cls, nn.Module) and cls is not neuron.BaseNode:
            found.setdefault(cls.__module__, []).append(cls)
    return found


def default_neuron(cls: type) -> Any:
    """A neuron made with default arguments, or None where some are required."""
    try:
        return cls()
    except (TypeError, ValueError):
        return None


def response(cls: type) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Potential and output of one neuron under the test current; None if it has no potential."""
    node = default_neuron(cls)
    if node is None or not isinstance(node, neuron.BaseNode):
        return None
    torch.manual_seed(0)
    potentials, spikes = [], []
    with torch.no_grad():
        for t in range(STEPS):
            x = torch.full((1, 1), CURRENT if ON <= t < OFF else 0.0)
            try:
                node.step_mode = "s"
                y = node(x)
            except (ValueError, RuntimeError):
                return None
            spikes.append(y[0] if isinstance(y, list | tuple) else y)
            potentials.append(node.v)
    return torch.stack(potentials).flatten(), torch.stack(spikes).flatten()


def draw(classes: list[type], file: Path) -> bool:
    """Plot the classes that have a potential; says whether there was one."""
    responses = {cls.__name__: r for cls in classes if (r := response(cls)) is not None}
    if not responses:
        return False
    fig, axes = plt.subplots(
        len(responses), 1, figsize=(8, 1.9 * len(responses)), squeeze=False, layout="constrained"
    )
    for ax, (name, (v, y)) in zip(axes[:, 0], responses.items(), strict=True):
        ax.axvspan(ON, OFF, color="0.93")
        ax.plot(v, label="v after reset")
        fired = y.nonzero().flatten()
        ax.plot(fired, torch.full_like(fired, float(v.max()), dtype=v.dtype), "|", color="black")
        ax.set(title=name, xlim=(0, STEPS - 1), ylabel="v")
    axes[-1, 0].set_xlabel("time step")
    fig.savefig(file, dpi=90)
    plt.close(fig)
    return True


def table(families: dict[str, list[type]]) -> str:
    """The reStructuredText of the page with all neurons."""
    title = "All neurons"
    lines = [title, "=" * len(title), "", ".. list-table::", "   :header-rows: 1", ""]
    header = ("neuron", "what it is", "states", "step modes", "backends", "file")
    rows = [header]
    for module, classes in families.items():
        for cls in classes:
            summary = (inspect.getdoc(cls) or "").partition("\n")[0].rstrip(".")
            node = default_neuron(cls)
            backends = ", ".join(getattr(node, "supported_backends", ("torch",)))
            modes = ", ".join(node.supported_step_mode()) if node is not None else "see its page"
            states = ", ".join(getattr(cls, "states", {})) or "see its page"
            link = f":doc:`{module.rpartition('.')[2]} <{module}>`"
            rows.append((f"``{cls.__name__}``", summary, states, modes, backends, link))
    for row in rows:
        lines += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def write_pages(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "api" / "generated"
    families = neurons_by_module()
    (folder / "neurons.rst").write_text(table(families), encoding="utf-8")
    for module, classes in families.items():
        page, picture = folder / f"{module}.rst", folder / f"{module}.png"
        if draw(classes, picture):
            caption = CAPTION.format(current=CURRENT, on=ON, off=OFF)
            text = page.read_text(encoding="utf-8")
            text += f"\n.. figure:: {picture.name}\n\n   {caption}\n"
            page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write_pages, priority=600)  # after api_pages
    return {"parallel_read_safe": True}
