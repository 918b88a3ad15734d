"""What a net costs: operations, spikes and energy per layer, for one input.

    MAC   multiply and accumulate: each weight that meets an input value
    AC    accumulate (synaptic operation): each weight that meets a spike; a count of n is n spikes
    energy = MACs 4.6 pJ + ACs 0.9 pJ

A layer whose input is all spikes (integers) needs no multiplications, and only what fired counts;
other layers count every input. The energies are those of 32-bit floating point in a 45 nm process,
3.7 pJ to multiply and 0.9 pJ to add, without memory access: an estimate that is common in the
field, and a lower bound of what hardware needs.

Source: Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sj_neurons.base import extract_memories, load_memories
from sj_neurons.functional import reset_net
from sj_neurons.neuron import BaseNode

__all__ = ["AC_PICOJOULE", "MAC_PICOJOULE", "LayerCost", "Profile", "profile"]

MAC_PICOJOULE = 4.6
AC_PICOJOULE = 0.9


@dataclass
class LayerCost:
    """Cost of one layer; what does not apply is 0, rates are None.

    `dead` and `saturated` are the shares of neurons that never, or at every step, fired.
    """

    name: str
    kind: str
    macs: int = 0
    acs: int = 0
    spikes: int = 0
    rate: float | None = None
    dead: float | None = None
    saturated: float | None = None
    mac_picojoule: float = MAC_PICOJOULE
    ac_picojoule: float = AC_PICOJOULE

    @property
    def picojoule(self) -> float:
        """Estimated energy."""
        return self.macs * self.mac_picojoule + self.acs * self.ac_picojoule


class Profile:
    """Costs of all layers, in the order of the net; `str` gives a table.

    Attributes:
        layers: one :class:`LayerCost` per layer with weights and per neuron layer.
    """

    def __init__(self, layers: list[LayerCost]) -> None:
        self.layers = layers

    def __getitem__(self, name: str) -> LayerCost:
        return next(layer for layer in self.layers if layer.name == name)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole net."""
        return sum(layer.macs for layer in self.layers)

    @property
    def acs(self) -> int:
        """Synaptic operations of the whole net."""
        return sum(layer.acs for layer in self.layers)

    @property
    def spikes(self) -> int:
        """Spikes of the whole net."""
        return sum(layer.spikes for layer in self.layers)

    @property
    def picojoule(self) -> float:
        """Estimated energy of the whole net."""
        return sum(layer.picojoule for layer in self.layers)

    def __str__(self) -> str:
        head = ("layer", "kind", "MACs", "ACs", "spikes", "rate", "dead", "saturated", "energy/nJ")
        rows: list[tuple[str, ...]] = [head]
        for layer in self.layers:
            rates = (layer.rate, layer.dead, layer.saturated)
            rows.append(
                (
                    layer.name,
                    layer.kind,
                    *(f"{n:,}" if n else "" for n in (layer.macs, layer.acs, layer.spikes)),
                    *("" if rate is None else f"{rate:.3f}" for rate in rates),
                    f"{layer.picojoule / 1e3:,.3f}" if layer.macs or layer.acs else "",
                )
            )
        totals = (f"{n:,}" for n in (self.macs, self.acs, self.spikes))
        rows.append(("total", "", *totals, "", "", "", f"{self.picojoule / 1e3:,.3f}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        aligned = [[c.ljust(w) for c, w in zip(row[:2], widths, strict=False)] for row in rows]
        for line, row in zip(aligned, rows, strict=True):
            line += [c.rjust(w) for c, w in zip(row[2:], widths[2:], strict=True)]
        return "\n".join("  ".join(line).rstrip() for line in aligned)


def profile(
    net: nn.Module,
    x: Tensor,
    *,
    mac_picojoule: float = MAC_PICOJOULE,
    ac_picojoule: float = AC_PICOJOULE,
) -> Profile:
    """Count what `net` does for the input `x`, from its reset state on.

    The net runs once, in evaluation mode and without gradient; afterwards its states and modes are
    what they were. Numbers are those of the whole input, batch included.

    Args:
        net: any net of torch and step-mode layers.
        x: its input.
        mac_picojoule, ac_picojoule: energy of the two operations.

    Example:
        >>> import torch, sj_layers as layer
        >>> from sj_neurons import neuron
        >>> net = torch.nn.Sequential(neuron.IFNode(), layer.Linear(4, 2, bias=False))
        >>> cost = profile(net, torch.tensor([[1.0, 0.0, 2.0, 0.0]]))
        >>> cost.spikes, cost.acs, cost.macs
        (2, 4, 0)
    """
    layers: dict[str, LayerCost] = {}
    handles = []
    for name, module in net.named_modules():
        count = _counter(module)
        if count is None:
            continue
        kind = type(module).__name__
        layers[name] = LayerCost(name, kind, mac_picojoule=mac_picojoule, ac_picojoule=ac_picojoule)
        handles.append(module.register_forward_hook(_hook(layers[name], count)))
    modes = {module: module.training for module in net.modules()}
    states = extract_memories(net)
    try:
        net.eval()
        reset_net(net)
        with torch.no_grad():
            net(x)
    finally:
        for handle in handles:
            handle.remove()
        load_memories(net, states)
        for module, training in modes.items():
            module.training = training
    return Profile([layer for layer in layers.values() if _was_called(layer)])


def _was_called(layer: LayerCost) -> bool:
    defaults = {f.name: f.default for f in fields(LayerCost)}
    return any(getattr(layer, key) != defaults[key] for key in ("macs", "acs", "spikes", "rate"))


Counter = Callable[[LayerCost, Any, Tensor, Tensor], None]


def _hook(cost: LayerCost, count: Counter) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor):
            count(cost, module, args[0], output)

    return hook


def _counter(module: nn.Module) -> Counter | None:
    if isinstance(module, BaseNode):
        return _Firing()
    if isinstance(module, nn.Linear):
        return _count_linear
    if isinstance(module, nn.modules.conv._ConvNd):
        return _count_convolution
    return None


class _Firing:
    """Counts the neurons of one layer over all its calls."""

    def __init__(self) -> None:
        self.fired = self.looked = 0
        self.ever: Tensor | None = None
        self.always: Tensor | None = None

    def __call__(self, cost: LayerCost, node: Any, x: Tensor, y: Tensor) -> None:
        fired = y != 0
        units = fired.flatten(0, 1) if node.step_mode == "m" and y.dim() > 2 else fired
        ever, always = units.any(0), units.all(0)
        if self.ever is not None and self.always is not None:  # the next step of a loop
            ever, always = self.ever | ever, self.always & always
        self.ever, self.always = ever, always
        self.fired += int(fired.sum())
        self.looked += fired.numel()
        cost.spikes += int(y.abs().sum()) if _is_spikes(y) else int(fired.sum())
        cost.rate = self.fired / self.looked
        cost.dead = float((~ever).float().mean())
        cost.saturated = float(always.float().mean())


def _is_spikes(x: Tensor) -> bool:
    return bool((x == x.round()).all())


def _count_linear(cost: LayerCost, layer: Any, x: Tensor, y: Tensor) -> None:
    if _is_spikes(x):
        cost.acs += int(x.abs().sum(dtype=torch.float64)) * layer.out_features
    else:
        cost.macs += x.numel() * layer.out_features


def _count_convolution(cost: LayerCost, layer: Any, x: Tensor, y: Tensor) -> None:
    is_spikes = _is_spikes(x)
    values = x.abs() if is_spikes else torch.ones_like(x)
    total = round(_weights_met(layer, values))
    if is_spikes:
        cost.acs += total
    else:
        cost.macs += total


def _weights_met(layer: Any, values: Tensor) -> float:
    """Sum over all weights of the values that each one meets, borders and strides included."""
    spatial = len(layer.kernel_size)
    values = values.reshape(-1, *values.shape[-1 - spatial :]).double()
    groups = layer.groups
    kernel = layer.weight.new_ones((groups, 1, *layer.kernel_size), dtype=torch.float64)
    per_group = values.unflatten(1, (groups, -1)).sum(2)
    if layer.transposed:
        transposed = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[spatial - 1]
        met = transposed(
            per_group, kernel, None, layer.stride, layer.padding, layer.output_padding, groups,
            layer.dilation,
        )  # fmt: skip
    else:
        plain = (F.conv1d, F.conv2d, F.conv3d)[spatial - 1]
        met = plain(per_group, kernel, None, layer.stride, layer.padding, layer.dilation, groups)
    return float(met.sum()) * (layer.out_channels // groups)
