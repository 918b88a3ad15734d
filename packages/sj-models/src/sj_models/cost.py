"""What each part of a model costs: parameters, neurons, multiply-accumulates.

Counted for one sample and all its time steps, without computing anything when the model is on the
`meta` device: products of convolutions, linear layers and attention, borders included, none spared
by silent neurons. Parts that `model(x)` does not call cost nothing. What a net spends on real data
is measured by `sj_layers.profile`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from sj_neurons.base import extract_memories, load_memories
from sj_neurons.functional import reset_net

from .neurons import is_neuron

__all__ = ["PartCost", "cost_table", "costs", "without_memory"]


@dataclass
class PartCost:
    """Cost of one part; "" is the whole model."""

    name: str
    kind: str
    parameters: int
    neurons: int = 0
    macs: int = 0


def costs(model: nn.Module, x: Tensor) -> list[PartCost]:
    """Costs of the direct children of `model`, then of the whole.

    Args:
        model: any model; it is called once, as `model(x)`, from its reset state.
        x: one sample, `[1, *]` or `[T, 1, *]`, on the model's device.
    """
    parts = [*model.named_children(), ("", model)]
    found = {
        name: PartCost(name, type(part).__name__, sum(p.numel() for p in part.parameters()))
        for name, part in parts
    }
    firing = {name: m for name, m in model.named_modules() if is_neuron(m)}
    neurons: dict[str, int] = {}
    handles = [m.register_forward_hook(_count(neurons, name)) for name, m in firing.items()]
    states, modes = extract_memories(model), {m: m.training for m in model.modules()}
    counter = FlopCounterMode(display=False)
    try:
        model.eval()
        reset_net(model)
        with torch.no_grad(), counter:
            model(x)
    finally:
        for handle in handles:
            handle.remove()
        load_memories(model, states)
        for module, training in modes.items():
            module.training = training
    counts = counter.get_flop_counts()
    root = type(model).__name__
    for name, part in found.items():
        key = f"{root}.{name}" if name else "Global"
        part.macs = sum(counts.get(key, {}).values()) // 2
        part.neurons = sum(n for k, n in neurons.items() if not name or k.partition(".")[0] == name)
    return list(found.values())


def without_memory(make: Callable[[], nn.Module]) -> nn.Module:
    """The model that `make` returns, on the `meta` device and without ever filling its weights.

    Unlike under `torch.device("meta")`, constructors may compute with small tensors.
    """
    with _EmptyOnMeta():
        return make().to("meta")


class _EmptyOnMeta(TorchFunctionMode):
    """Sends what torch's layers allocate for their weights to the meta device."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def cost_table(parts: list[PartCost]) -> str:
    """The costs as text, one line per part."""
    rows: list[tuple[str, ...]] = [("part", "kind", "parameters", "neurons", "MACs")]
    for part in parts:
        numbers = (f"{n:,}" for n in (part.parameters, part.neurons, part.macs))
        rows.append((part.name or "total", part.kind, *numbers))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        [
            c.ljust(w) if i < 2 else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _count(neurons: dict[str, int], name: str) -> Callable[..., None]:
    def hook(node: Any, args: Any, spikes: Tensor) -> None:
        per_sample = spikes[0, 0] if node.step_mode == "m" else spikes[0]
        neurons[name] = per_sample.numel()

    return hook
