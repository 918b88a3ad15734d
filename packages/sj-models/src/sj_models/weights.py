"""Published ANN weights that fit spiking models with the same parameter names."""

from __future__ import annotations

from torch import nn
from torch.hub import load_state_dict_from_url

__all__ = ["TORCHVISION_FILES", "load_torchvision_weights"]

_SOURCE = "https://download.pytorch.org/models/"

# torchvision's IMAGENET1K_V1 weights; the digits before .pth are the start of the file's SHA-256
TORCHVISION_FILES = {
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-0676ba61.pth",
    "resnet101": "resnet101-63fe2227.pth",
    "resnet152": "resnet152-394f9c45.pth",
    "resnext50_32x4d": "resnext50_32x4d-7cdf4587.pth",
    "resnext101_32x8d": "resnext101_32x8d-8ba56ff5.pth",
    "wide_resnet50_2": "wide_resnet50_2-95faca4d.pth",
    "wide_resnet101_2": "wide_resnet101_2-32ee1156.pth",
}


def load_torchvision_weights(model: nn.Module, name: str, progress: bool = True) -> None:
    """Load torchvision's ImageNet weights of the ANN `name` into `model`.

    Parameters that only neurons have (such as PLIF's `w`) keep their values.

    Raises:
        RuntimeError: the file does not have its published hash.
        ValueError: the weights do not fit the model; the keys are named.
    """
    file = TORCHVISION_FILES[name]
    weights = load_state_dict_from_url(
        _SOURCE + file, map_location="cpu", progress=progress, check_hash=True, weights_only=True
    )
    own = model.state_dict()
    misfits = [
        f"{key} {tuple(value.shape)}"
        for key, value in weights.items()
        if key not in own or own[key].shape != value.shape
    ]
    expected = {key for key, _ in model.named_parameters() if not _belongs_to_neuron(model, key)}
    misfits += [f"{key} (not in the file)" for key in sorted(expected - set(weights))]
    if misfits:
        raise ValueError(f"{file} does not fit the model: {', '.join(misfits[:5])}")
    model.load_state_dict(weights, strict=False)


def _belongs_to_neuron(model: nn.Module, key: str) -> bool:
    from sj_neurons.neuron import BaseNode

    return isinstance(model.get_submodule(key.rpartition(".")[0]), BaseNode)
