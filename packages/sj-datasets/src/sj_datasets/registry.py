"""Names of the datasets, and the class behind each, imported when it is asked for."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

__all__ = ["DATASETS", "dataset_class"]

DATASETS: dict[str, str] = {
    name: f"sj_datasets.{module}:{name}"
    for module, names in {
        "n_mnist": ("NMNIST",),
        "n_caltech101": ("NCaltech101",),
        "cifar10_dvs": ("CIFAR10DVS", "CIFAR10DVSTEBNSplit"),
        "dvs128_gesture": ("DVS128Gesture",),
        "asl_dvs": ("ASLDVS",),
        "nav_gesture": ("NAVGestureWalk", "NAVGestureSit"),
        "shd": ("SpikingHeidelbergDigits", "SpikingSpeechCommands"),
        "es_imagenet": ("ESImageNet",),
        "hardvs": ("HARDVS",),
        "dvs_lip": ("DVSLip",),
        "bullying10k": ("Bullying10kClassification",),
        "speechcommands": ("SpeechCommands",),
        "static": ("MNIST", "FashionMNIST", "CIFAR10"),
    }.items()
    for name in names
}


def dataset_class(name: str) -> type[Any]:
    """The dataset class called ``name``.

    Raises:
        ValueError: there is none; the message offers the nearest names.
    """
    if name not in DATASETS:
        folded = {known.lower(): known for known in DATASETS}
        close = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(folded[c] for c in close)}?" if close else "have: "
        raise ValueError(f"no dataset {name!r}; {hint}{'' if close else ', '.join(DATASETS)}")
    module, attribute = DATASETS[name].split(":")
    return getattr(importlib.import_module(module), attribute)
