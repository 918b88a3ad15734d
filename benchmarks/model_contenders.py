"""Models of the zoo and of SpikingJelly, by the same calls: they share names of builders."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["CLASSES", "MODELS", "Library", "Model", "ours", "reference", "training_step"]

CLASSES = 10
SPIKING = {"num_classes": CLASSES, "detach_reset": True}
PEER = "spikingjelly.activation_based"


class Library(NamedTuple):
    """What a model is made of."""

    models: str  # package of the families
    neuron: Any
    surrogate: Any
    functional: Any


class Model(NamedTuple):
    """One model, and the least it must gain."""

    family: str
    builder: str
    needs_neuron: bool = True
    training: float = 1.0
    inference: float | None = None  # with batch norms folded

    def build(self, library: Library, size: int, steps: int) -> nn.Module:
        """The model in step mode 'm', for `steps` images of `size` pixels a side."""
        family = importlib.import_module(f"{library.models}.{self.family}")
        if self.needs_neuron:
            neuron = {
                "spiking_neuron": library.neuron.IFNode,
                "surrogate_function": library.surrogate.ATan(),
            }
            arguments = {**SPIKING, **neuron}
            if self.family == "sew_resnet":
                arguments["cnf"] = "ADD"
        else:
            arguments = {
                "T": steps, "img_size_h": size, "img_size_w": size, "num_classes": CLASSES,
            }  # fmt: skip
        net = getattr(family, self.builder)(**arguments)
        library.functional.set_step_mode(net, "m")
        return net


MODELS = {
    "spiking_resnet18": Model("spiking_resnet", "spiking_resnet18", training=1.10, inference=1.2),
    "sew_resnet18": Model("sew_resnet", "sew_resnet18", inference=1.2),
    "spikformer_ti": Model("spikformer", "spikformer_ti", needs_neuron=False),
    "spiking_vgg11_bn": Model("spiking_vgg", "spiking_vgg11_bn"),
}


def ours() -> Library:
    """The zoo measured."""
    from sj_neurons import functional, neuron, surrogate

    return Library("sj_models", neuron, surrogate, functional)


def reference() -> Library | None:
    """SpikingJelly, or None where it cannot be imported."""
    _stand_in_for_torchvision()
    try:
        parts = [importlib.import_module(f"{PEER}.{n}") for n in ("neuron", "surrogate")]
        functional = importlib.import_module(f"{PEER}.functional")
        importlib.import_module(f"{PEER}.model.spiking_resnet")
    except ImportError:
        return None
    return Library(f"{PEER}.model", parts[0], parts[1], functional)


def _stand_in_for_torchvision() -> None:
    """Its models want a download function of torchvision, which may be absent or not fit torch."""
    try:
        import torchvision  # pyright: ignore[reportMissingImports]  # noqa: F401
    except (ImportError, RuntimeError):
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for name in ("torchvision", "torchvision.models", "torchvision.models.utils"):
            sys.modules[name] = ModuleType(name)
        download: Any = sys.modules["torchvision.models.utils"]
        download.load_state_dict_from_url = torch.hub.load_state_dict_from_url


def without_neurons(net: nn.Module, library: Library) -> nn.Module:
    """`net` with every neuron replaced by the identity."""
    for path, module in list(net.named_modules()):
        if isinstance(module, library.neuron.BaseNode):
            net.set_submodule(path, nn.Identity())
    return net


def training_step(
    net: nn.Module, x: Tensor, reset: Callable[[nn.Module], None]
) -> Callable[[], None]:
    """Reset, forward, cross entropy of the mean output, backward, SGD."""
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    target = torch.arange(x.shape[1]) % CLASSES
    net.train()

    def step() -> None:
        reset(net)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x).mean(0), target).backward()
        optimizer.step()

    return step


def inference(
    net: nn.Module, x: Tensor, reset: Callable[[nn.Module], None]
) -> Callable[[], Tensor]:
    """Reset and forward, in eval mode and without gradients."""
    net.eval()

    def run() -> Tensor:
        reset(net)
        with torch.no_grad():
            return net(x)

    return run
