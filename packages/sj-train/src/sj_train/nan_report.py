"""Where NaN or infinite values began."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["origin_of_non_finite"]


@torch.no_grad()
def origin_of_non_finite(model: nn.Module, x: Tensor) -> str:
    """What is not finite first when ``model`` runs on ``x``: a parameter, the input, a layer."""
    for name, parameter in model.named_parameters():
        if not _finite(parameter):
            return f"the parameter {name} is not finite: an earlier step broke it"
    found: list[str] = []

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and not _finite(output):
                layer = f"{name or 'the model'} ({type(module).__name__})"
                came = "its input is already" if not _finite(inputs) else "its input was finite"
                found.append(f"it began in {layer}; {came}")

        return hook

    def watch_input(module: nn.Module, inputs: Any) -> None:
        if not found and not _finite(inputs):
            found.append("the input of the model is not finite: check the data")

    handles = [m.register_forward_hook(watch(name)) for name, m in model.named_modules()]
    handles.append(model.register_forward_pre_hook(watch_input))
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else "all layers are finite: it began in the criterion"


def _finite(value: Any) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in _tensors(value))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
