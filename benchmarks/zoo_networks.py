"""Spike-Zoo's networks from their installed files alone, for `bench_networks.py`.

Importing the package needs some forty others; its files need einops and pytorch_wavelets, and a few
names that are replaced here. The deformable convolution and the spiking neuron are this
repository's, so that a difference in time comes from the rest of the network.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from sj_neurons import neuron, surrogate
from sz_models.archs.deform_conv import deform_conv2d

__all__ = ["on_the_cpu", "zoo_networks"]

# Name -> file below archs, class.
FILES = {
    "base": ("base.nets", "BaseNet"),
    "spikeclip": ("spikeclip.nets", "LRN"),
    "wgse": ("wgse.dwtnets", "Dwt1dResnetX_TCN"),
    "ssir": ("ssir.models.networks", "SSIR"),
    "ssml": ("ssml.model", "DoubleNet"),
    "spk2imgnet": ("spk2imgnet.nets", "SpikeNet"),
    "bsf": ("bsf.models.bsf.bsf", "BSF"),
    "stir": ("stir.models.networks_STIR", "STIR"),
}


def zoo_networks(names: Sequence[str], folder: str | None) -> dict[str, Callable[..., nn.Module]]:
    """Classes of the networks; nothing where Spike-Zoo is not installed.

    Args:
        names: some of ``FILES``.
        folder: site-packages that hold spikezoo, einops and pytorch_wavelets, searched last.
    """
    if folder is None:
        package = importlib.util.find_spec("spikezoo")
        if package is None or package.origin is None:
            return {}
        root = Path(package.origin).parent
    else:
        root = Path(folder) / "spikezoo"
        if not root.is_dir():
            raise FileNotFoundError(f"{root}: no such folder; --zoo names site-packages")
        sys.path.append(folder)
    _stand_in()
    # Without this the package's own __init__ would run.
    package = ModuleType("spikezoo")
    package.__path__ = [str(root)]
    sys.modules["spikezoo"] = package
    found = {}
    for name in names:
        file, cls = FILES[name]
        found[name] = getattr(importlib.import_module(f"spikezoo.archs.{file}"), cls)
    return found


@contextmanager
def on_the_cpu() -> Iterator[None]:
    """``tensor.cuda()``, which one network calls on itself, does nothing in here."""
    kept = Tensor.cuda
    Tensor.cuda = lambda self, *_, **__: self
    try:
        yield
    finally:
        Tensor.cuda = kept


class _DeformConv2d(nn.Conv2d):
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, input: Tensor, offset: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        return _deform(
            input, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask
        )


def _deform(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    mask: Tensor | None = None,
    **_: Any,
) -> Tensor:
    return deform_conv2d(
        input, offset, weight, bias, mask, stride=stride, padding=padding, dilation=dilation
    )


def _stand_in() -> None:
    """Modules that the files import; nothing else of them runs."""
    replaced: dict[str, dict[str, Any]] = {
        "torchvision": {},
        "torchvision.ops": {"DeformConv2d": _DeformConv2d, "deform_conv2d": _deform},
        "spikingjelly": {},
        "spikingjelly.clock_driven": {
            "neuron": neuron,
            "surrogate": surrogate,
            "layer": ModuleType("layer"),
        },
        "thop": {"profile": None},
        "cv2": {},
        "pkg_resources": {"resource_stream": None},  # gone from setuptools
    }
    for name, content in replaced.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    if importlib.util.find_spec("PIL") is not None:
        image: Any = importlib.import_module("PIL.Image")
        if not hasattr(image, "logger"):
            image.logger = image.__dict__.get("log")
