"""The directive `layer-table`: all layers by the axes of their input in step mode 'm'.

The axes of torch's layers come from the table in `sj_layers.torch_layers`, those of the others from
`AXES`; a layer that is in neither stops the build.
"""

from __future__ import annotations

import inspect
from importlib import import_module

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from torch import nn

from sj_layers.stateless import TimeFolded
from sj_neurons.base import MultiStepModule

MODULES = (
    "torch_layers",
    "linear",
    "spike_linear",
    "weight_standardization",
    "norm",
    "dropout",
    "attention",
    "synapse",
    "voting",
    "spike_count",
    "container",
    "recurrent",
)
ANY = "T, N, *"
FEATURES = "T, N, *, in_features"
IMAGES = "T, N, C, H, W"
TOKENS = "T, N, C, L"
AXES: dict[str, tuple[str, ...]] = {
    "Linear": (FEATURES,),
    "SpikeLinear": (FEATURES,),
    "WSLinear": (FEATURES,),
    "DropConnectLinear": ("T, N, in_features",),
    "LinearRecurrentContainer": (FEATURES,),
    "NeuNorm": (IMAGES,),
    "BatchNormThroughTime1d": ("T, N, C", "T, N, C, L"),
    "BatchNormThroughTime2d": (IMAGES,),
    "BatchNormThroughTime3d": ("T, N, C, D, H, W",),
    "Dropout": (ANY,),
    "Dropout2d": (IMAGES,),
    "TemporalWiseAttention": (IMAGES, "T, N, M"),
    "MultiDimensionalAttention": (IMAGES,),
    "SpikingSelfAttention": (TOKENS,),
    "QKAttention": (TOKENS,),
    "TokenQKAttention": (TOKENS,),
    "ChannelQKAttention": (TOKENS,),
    "SynapseFilter": (ANY,),
    "Delay": (ANY,),
    "VotingLayer": ("T, N, *, C",),
    "SpikeCountToBinary": (ANY,),
    "TemporalBinSum": ("T K, N, *",),
    "MultiStepContainer": (ANY,),
    "SeqToANNContainer": (ANY,),
    "StepModeContainer": (ANY,),
    "TLastMultiStepContainer": ("N, *, T",),
    "TLastSeqToANNContainer": ("N, *, T",),
    "ElementWiseRecurrentContainer": (ANY,),
}
HEAD = {
    "en": ("input in `'m'`", "step modes `'s'` and `'m'`", "`'m'` only"),
    "zh": ("`'m'` 的输入", "有 `'s'` 和 `'m'` 两种模式", "只有 `'m'`"),
}


def layers() -> list[type[nn.Module]]:
    """The public layers of all modules, in the order of `MODULES` and their `__all__`."""
    found: list[type[nn.Module]] = []
    for name in MODULES:
        module = import_module(f"sj_layers.{name}")
        public = (getattr(module, key) for key in module.__all__)
        found += [c for c in public if inspect.isclass(c) and issubclass(c, nn.Module)]
    return found


def axes_of(layer: type[nn.Module]) -> tuple[str, ...]:
    """What the axes of an 'm' input may be."""
    if layer.__name__ in AXES:
        return AXES[layer.__name__]
    if not issubclass(layer, TimeFolded):
        raise ValueError(f"add the axes of {layer.__name__} to AXES in docs/_ext/layer_pages.py")
    return layer.sequence_layouts or (ANY,)


def table(language: str) -> str:
    """A Markdown table: one line for all layers with the same axes."""
    groups: dict[tuple[str, ...], tuple[list[str], list[str]]] = {}
    for layer in layers():
        both, multi = groups.setdefault(axes_of(layer), ([], []))
        link = f"{{py:class}}`~{layer.__module__}.{layer.__name__}`"
        (multi if issubclass(layer, MultiStepModule) else both).append(link)
    axes, both, multi = HEAD[language]
    lines = [f"| {axes} | {both} | {multi} |", "|---|---|---|"]
    for layouts in sorted(groups, key=lambda options: (len(options[0]), options)):
        shapes = ", ".join(f"`[{layout}]`" for layout in layouts)
        cells = (", ".join(links) for links in groups[layouts])
        lines.append(f"| {shapes} | {' | '.join(cells)} |")
    return "\n".join(lines)


class LayerTable(SphinxDirective):
    """The table, in the language of the page."""

    def run(self) -> list[nodes.Node]:
        language = "zh" if self.env.docname.startswith("zh/") else "en"
        return self.parse_text_to_nodes(table(language))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("layer-table", LayerTable)
    return {"parallel_read_safe": True}
