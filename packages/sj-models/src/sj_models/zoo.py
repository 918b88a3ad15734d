"""The models of the zoo: where each is made, how large it is, what was published about it.

A row is `name: (parameters, neurons, shape of one step)`, with the default number of classes and
neurons without parameters of their own. Published accuracies are those of the named sources.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from torch import nn

__all__ = ["ZOO", "ModelRecord"]


@dataclass(frozen=True)
class ModelRecord:
    """One model of the zoo.

    Attributes:
        name: what `create_model` takes; the name of the builder.
        family: module of `sj_models` with the builder.
        parameters, neurons: how many parameters and spiking layers.
        input_shape: `(C, H, W)` or `(M,)` of one step of one sample.
        accuracy: published accuracy in percent, with data set and time steps; empty if none.
        source: who published it.
    """

    name: str
    family: str
    parameters: int
    neurons: int
    input_shape: tuple[int, ...]
    accuracy: str = ""
    source: str = ""

    def builder(self) -> Callable[..., nn.Module]:
        """The function or class that makes the model."""
        return getattr(importlib.import_module(f"{__package__}.{self.family}"), self.name)


_Row = tuple[int, int, tuple[int, ...]]

_IMAGENET, _CIFAR, _EVENTS = (3, 224, 224), (3, 32, 32), (2, 128, 128)

# parameters, neurons where they follow the sum, neurons where they precede it
_RESNETS = {
    "resnet18": (11_689_512, 17, 20),
    "resnet34": (21_797_672, 33, 36),
    "resnet50": (25_557_032, 49, 53),
    "resnet101": (44_549_160, 100, 104),
    "resnet152": (60_192_808, 151, 155),
    "resnext50_32x4d": (25_028_904, 49, 53),
    "resnext101_32x8d": (88_791_336, 100, 104),
    "wide_resnet50_2": (68_883_240, 49, 53),
    "wide_resnet101_2": (126_886_696, 100, 104),
}

_FAMILIES: dict[str, dict[str, _Row]] = {
    "spiking_resnet": {
        f"spiking_{name}": (size, after, _IMAGENET) for name, (size, after, _) in _RESNETS.items()
    },
    "csnn": {"CSNN": (13_014_656, 4, (1, 28, 28))},
}

# name: accuracy, source
_PUBLISHED: dict[str, tuple[str, str]] = {}


def _records() -> Iterator[ModelRecord]:
    for family, rows in _FAMILIES.items():
        for name, row in rows.items():
            yield ModelRecord(name, family, *row, *_PUBLISHED.get(name, ("", "")))


ZOO: Mapping[str, ModelRecord] = {record.name: record for record in _records()}
