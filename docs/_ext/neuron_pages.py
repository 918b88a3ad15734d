"""A membrane plot on the page of each neuron family, and one table of all neurons.

Both come from the classes themselves, so a new neuron appears without an edit here.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import torch
from sphinx.application import Sphinx
from torch import nn

from sj_neurons import neuron

matplotlib.use("Agg")

import matplotlib.pyplot as plt

STEPS, ON, OFF = 60, 5, 45
CURRENTS = (1.1, 0.35, 0.1)  # the first that leaves the neuron room between its spikes
CAPTION = (
    f"Potential (line) and spikes (bars) under a constant input from step {ON} to step {OFF}; of "
    "neurons without a potential that outlives a step, the output."
)
WHY_TORCH_ONLY = "No scalar recurrence:"

# arguments of the neurons that cannot be made without any
ARGUMENTS: dict[str, dict[str, Any]] = {
    "GatedLIFNode": {"T": STEPS},
    "DSRIFNode": {"T": STEPS, "v_threshold": 2.0},
    "DSRLIFNode": {"T": STEPS},
    "ILCIFNode": {"act_dim": 1, "dec_pop_dim": 1},
    "ILCLIFNode": {"act_dim": 1, "dec_pop_dim": 1},
    "ILCCUBALIFNode": {"act_dim": 1, "dec_pop_dim": 1},
    "LIAFNode": {"act": torch.relu, "threshold_related": True},
    "MPBNLIFNode": {"out_features": 1},
    "MaskedPSN": {"k": 4, "T": STEPS, "lambda_init": 1.0},
    "NoisyCUBALIFNode": {"num_node": 1, "T": STEPS, "is_training": False},
    "NoisyILCCUBALIFNode": {"act_dim": 1, "dec_pop_dim": 1, "T": STEPS, "is_training": False},
    "NoisyNonSpikingIFNode": {"num_node": 1, "T": STEPS, "is_training": False},
    "PSN": {"T": STEPS},
    "STBIFNeuron": {"q_threshold": 1.0, "level": 8},
    "SlidingPSN": {"k": 4},
}


def neurons_by_module() -> dict[str, list[type]]:
    """Module name -> the neuron classes that it defines, in the order of their names."""
    found: dict[str, list[type]] = {}
    for name in sorted(neuron.__all__):
        cls = getattr(neuron, name)
        if inspect.isclass(cls) and issubclass(cls, nn.Module) and cls is not neuron.BaseNode:
            found.setdefault(cls.__module__, []).append(cls)
    return found


def example(cls: type) -> Any:
    """A neuron with default or example arguments, or None if it needs some and has no example."""
    arguments = ARGUMENTS.get(cls.__name__, {})
    needed = (
        name
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.default is inspect.Parameter.empty
    )
    if not set(needed) <= set(arguments):
        return None
    torch.manual_seed(0)
    return cls(**arguments).eval()


class Response(NamedTuple):
    """What one neuron does under the test current; `v` is None if it has no potential."""

    current: float
    v: torch.Tensor | None
    y: torch.Tensor


def response(cls: type) -> Response | None:
    """The answer to the strongest test current that does not make the neuron fire all the time."""
    answer = None
    for current in CURRENTS:
        node = example(cls)
        if node is None:
            return None
        x_seq = torch.zeros(STEPS, 1, 1)
        x_seq[ON:OFF] = current
        if cls.__name__ == "GatedLIFNode":
            x_seq = x_seq.view(STEPS, 1, 1, 1, 1)
        try:
            with torch.no_grad():
                answer = Response(current, *run(node, x_seq))
        except NotImplementedError:  # a base class: its subclasses say how to charge
            return None
        if answer.v is None or answer.y.count_nonzero() < 0.6 * (OFF - ON):
            break
    return answer


def run(node: Any, x_seq: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
    if "s" in node.supported_step_mode():
        return stepwise(node, x_seq)
    if hasattr(node, "store_v_seq"):
        node.store_v_seq = True
    y = node(x_seq)
    y = torch.stack(y) if isinstance(y, list) else y
    v = getattr(node, "v_seq", None)
    return (None if v is None else v.flatten()), y.flatten()


def stepwise(node: Any, x_seq: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
    node.step_mode = "s"
    potentials, outputs = [], []
    for x in x_seq:
        y = node(x)
        outputs.append(y[0] if isinstance(y, list | tuple) else y)
        potentials.append(getattr(node, "v", getattr(node, "q", None)))
    v = torch.stack(potentials).flatten() if isinstance(potentials[0], torch.Tensor) else None
    return v, torch.stack(outputs).flatten()


def draw(classes: list[type], file: Path) -> bool:
    """Plot the classes that answer to a current; says whether there was one."""
    responses = {cls.__name__: r for cls in classes if (r := response(cls)) is not None}
    if not responses:
        return False
    fig, axes = plt.subplots(
        len(responses), 1, figsize=(8, 1.9 * len(responses)), squeeze=False, layout="constrained"
    )
    for ax, (name, (current, v, y)) in zip(axes[:, 0], responses.items(), strict=True):
        ax.axvspan(ON, OFF, color="0.93")
        if v is None:
            ax.plot(y, drawstyle="steps-mid")
        else:
            ax.plot(v)
            fired = y.nonzero().flatten()
            ax.plot(fired, torch.full_like(fired, float(v.max()), dtype=v.dtype), "|k")
        ax.set(
            title=f"{name}, input {current}",
            xlim=(0, STEPS - 1),
            ylabel="output" if v is None else "v",
        )
    axes[-1, 0].set_xlabel("time step")
    fig.savefig(file, dpi=90)
    plt.close(fig)
    return True


def table(families: dict[str, list[type]]) -> str:
    """The reStructuredText of the page with all neurons."""
    title = "All neurons"
    lines = [title, "=" * len(title), "", ".. list-table::", "   :header-rows: 1", ""]
    rows = [("neuron", "what it is", "states", "step modes", "backends")]
    for module, classes in families.items():
        for cls in classes:
            text = inspect.getdoc(cls) or ""
            summary = text.partition("\n")[0].rstrip(".")
            node = example(cls)
            states = ", ".join(getattr(cls, "states", {})) or "none"
            modes = ", ".join(node.supported_step_mode()) if node is not None else "none"
            backends = ", ".join(getattr(node, "supported_backends", ("torch",)))
            if WHY_TORCH_ONLY in text:
                reason = text.partition(WHY_TORCH_ONLY)[2].partition("\n\n")[0]
                backends += " only: " + " ".join(reason.split()).rstrip(".")
            rows.append((f":doc:`{cls.__name__} <{module}>`", summary, states, modes, backends))
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
            text = page.read_text(encoding="utf-8")
            text += f"\n.. figure:: {picture.name}\n\n   {CAPTION}\n"
            page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write_pages, priority=600)  # after api_pages
    return {"parallel_read_safe": True}
