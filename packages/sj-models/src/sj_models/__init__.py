"""Spiking model zoo, and networks built from registered parts.

`create_model` makes a network of the zoo by its name; each family is a module of its own, such as
`spiking_resnet`. `registry`, `config` and `build` make networks from configs.

Each name is imported from its module when it is first used; `__init__.pyi` says the same to type
checkers.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_EXPORTS: dict[str, tuple[str, ...]] = {
    "create": ("create_model", "describe_model", "list_models"),
    "csnn": ("CSNN",),
    "e_spikeformer": ("ESpikeFormer",),
    "masnn": ("MASNN",),
    "maxformer": ("MaxFormer",),
    "ms_resnet": ("AttMSResNet", "MSResNet", "MaxResNet"),
    "neurons": ("neuron_factory",),
    "parametric_lif_net": (
        "CIFAR10DVSNet",
        "CIFAR10Net",
        "DVSGestureNet",
        "FashionMNISTNet",
        "MNISTNet",
        "NMNISTNet",
    ),
    "qkformer": ("QKFormer",),
    "sequential_nets": ("FeedBackNet", "PlainNet", "StatefulSynapseNet"),
    "sew_resnet": ("SEWResNet",),
    "spike_driven_transformer": ("SpikeDrivenTransformer",),
    "spike_firing": ("SpikeFiring",),
    "spikformer": ("Spikformer",),
    "spiking_resnet": ("SpikingResNet", "spiking_resnet18"),
    "spiking_vgg": ("SpikingVGG",),
    "spiking_vggws_ottt": ("OTTTSpikingVGG",),
    "spikingformer": ("Spikingformer",),
    "weights": ("WeightsReport", "load_weights"),
    "zoo": ("ModelRecord",),
    # components
    "base_module": ("BaseModule",),
    "config": ("load_config",),
    "layers_from_config": ("build_conv_layer", "build_norm_layer"),
    "heads": ("ClsHead",),
    "losses": ("weighted_loss",),
    "registry": ("MODELS",),
    "tasks": (
        "BEiT",
        "BaseSelfSupervisor",
        "ImageClassifier",
        "ImageToImageRetriever",
        "MAE",
    ),
}
_MODULES = (
    "csnn",
    "e_spikeformer",
    "masnn",
    "maxformer",
    "ms_resnet",
    "parametric_lif_net",
    "qkformer",
    "sequential_nets",
    "sew_resnet",
    "spike_driven_transformer",
    "spike_firing",
    "spikformer",
    "spiking_resnet",
    "spiking_vgg",
    "spiking_vggws_ottt",
    "spikingformer",
    # components
    "backbones",
    "encoders",
    "firing_rates",
    "heads",
    "losses",
    "masks",
    "metrics",
    "necks",
    "preprocess",
    "ranking_metrics",
    "samples",
    "targets",
    "tasks",
    "time_metrics",
)
_HOMES = {name: module for module, names in _EXPORTS.items() for name in names}

__all__ = [*_HOMES, *_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
        globals()[name] = value
        return value
    if name in _MODULES or name in _EXPORTS:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
