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
    "sew_resnet": {
        f"sew_{name}": (size, before, _IMAGENET) for name, (size, _, before) in _RESNETS.items()
    },
    "spiking_vgg": {
        "spiking_vgg11": (132_863_336, 10, _IMAGENET),
        "spiking_vgg13": (133_047_848, 12, _IMAGENET),
        "spiking_vgg16": (138_357_544, 15, _IMAGENET),
        "spiking_vgg19": (143_667_240, 18, _IMAGENET),
        "spiking_vgg11_bn": (132_868_840, 10, _IMAGENET),
        "spiking_vgg13_bn": (133_053_736, 12, _IMAGENET),
        "spiking_vgg16_bn": (138_365_992, 15, _IMAGENET),
        "spiking_vgg19_bn": (143_678_248, 18, _IMAGENET),
    },
    "spiking_vggws_ottt": {
        "ottt_spiking_vgg11": (132_863_336, 10, _IMAGENET),
        "ottt_spiking_vgg13": (133_047_848, 12, _IMAGENET),
        "ottt_spiking_vgg16": (138_357_544, 15, _IMAGENET),
        "ottt_spiking_vgg19": (143_667_240, 18, _IMAGENET),
        "ottt_spiking_vgg11_ws": (132_874_280, 10, _IMAGENET),
        "ottt_spiking_vgg13_ws": (133_058_984, 12, _IMAGENET),
        "ottt_spiking_vgg16_ws": (138_369_960, 15, _IMAGENET),
        "ottt_spiking_vgg19_ws": (143_680_936, 18, _IMAGENET),
        "ottt_spiking_vggws": (9_736_232, 8, _CIFAR),
    },
    "parametric_lif_net": {
        "MNISTNet": (13_201_124, 4, (1, 28, 28)),
        "FashionMNISTNet": (13_201_124, 4, (1, 28, 28)),
        "NMNISTNet": (17_134_436, 4, (2, 34, 34)),
        "CIFAR10Net": (36_720_484, 8, _CIFAR),
        "CIFAR10DVSNet": (4_691_812, 6, _EVENTS),
        "DVSGestureNet": (1_698_926, 7, _EVENTS),
    },
    "ms_resnet": {
        "ms_resnet18": (11_693_736, 17, _IMAGENET),
        "ms_resnet34": (21_801_896, 33, _IMAGENET),
        "max_resnet18": (12_502_090, 17, _CIFAR),
        "att_ms_resnet18": (11_867_960, 17, _IMAGENET),
    },
    "masnn": {"masnn_dvs128_gesture": (2_340_535, 5, (2, 32, 32))},
    "csnn": {"CSNN": (13_014_656, 4, (1, 28, 28))},
    "sequential_nets": {
        "PlainNet": (1_258, 2, (28,)),
        "StatefulSynapseNet": (1_259, 2, (28,)),
        "FeedBackNet": (3_338, 2, (28,)),
    },
    "spikformer": {
        "spikformer_ti": (4_400_392, 25, _IMAGENET),
        "spikformer_s": (13_244_824, 35, _IMAGENET),
        "spikformer_cifar10": (9_310_906, 25, _CIFAR),
        "spikformer_8_384": (16_797_592, 45, _IMAGENET),
        "spikformer_8_512": (29_664_808, 45, _IMAGENET),
        "spikformer_8_768": (66_301_768, 45, _IMAGENET),
    },
    "spikingformer": {
        "spikingformer_8_384": (16_816_024, 44, _IMAGENET),
        "spikingformer_8_512": (29_689_384, 44, _IMAGENET),
        "spikingformer_8_768": (66_338_632, 44, _IMAGENET),
    },
    "qkformer": {
        "qkformer_10_384": (16_472_584, 60, _IMAGENET),
        "qkformer_10_512": (29_077_864, 60, _IMAGENET),
        "qkformer_10_768": (64_960_552, 60, _IMAGENET),
    },
    "spike_driven_transformer": {
        "sdt_8_384": (16_816_744, 61, _IMAGENET),
        "sdt_8_512": (29_690_344, 61, _IMAGENET),
        "sdt_10_512": (36_006_376, 75, _IMAGENET),
        "sdt_8_768": (66_340_072, 61, _IMAGENET),
    },
    "e_spikeformer": {
        "e_spikeformer_5m": (5_105_608, 105, _IMAGENET),
        "e_spikeformer_10m": (10_023_112, 105, _IMAGENET),
        "e_spikeformer_19m": (18_987_504, 105, _IMAGENET),
    },
    "maxformer": {
        "maxformer_10_384": (16_236_616, 51, _IMAGENET),
        "maxformer_cifar": (6_602_932, 22, _CIFAR),
    },
}

# name: accuracy, source
_PUBLISHED: dict[str, tuple[str, str]] = {
    "max_resnet18": ("97.17 CIFAR-10, 83.06 CIFAR-100", "arXiv 2505.18608"),
    "spikformer_8_768": ("74.81 ImageNet, T=4", "arXiv 2209.15425"),
    "spikingformer_8_384": ("72.45 ImageNet", "authors' repository, arXiv 2304.11954"),
    "spikingformer_8_512": ("74.79 ImageNet", "authors' repository, arXiv 2304.11954"),
    "spikingformer_8_768": ("75.85 ImageNet", "authors' repository, arXiv 2304.11954"),
    "qkformer_10_384": ("78.80 ImageNet, T=4", "authors' repository, arXiv 2403.16552"),
    "qkformer_10_512": ("82.04 ImageNet, T=4", "authors' repository, arXiv 2403.16552"),
    "qkformer_10_768": ("84.22 ImageNet, T=4", "authors' repository, arXiv 2403.16552"),
    "sdt_8_768": ("77.1 ImageNet, the paper's best", "arXiv 2307.01694"),
    "e_spikeformer_10m": ("78.5 ImageNet", "arXiv 2411.16061"),
    "e_spikeformer_19m": ("79.8 ImageNet", "arXiv 2411.16061"),
}


def _records() -> Iterator[ModelRecord]:
    for family, rows in _FAMILIES.items():
        for name, row in rows.items():
            yield ModelRecord(name, family, *row, *_PUBLISHED.get(name, ("", "")))


ZOO: Mapping[str, ModelRecord] = {record.name: record for record in _records()}
