"""Small networks, one for each thing a NIR graph can hold, that other software is asked to read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import sj_layers as layer
import sj_nir
from sj_neurons import neuron
from sj_nir import modules

__all__ = ["DT", "NETWORKS", "Network", "write"]

DT = 1e-4
STEPS, SAMPLES = 20, 2


@dataclass(frozen=True)
class Network:
    """What makes it, and the shape of its input without time and batch."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.fire = lif()
        self.second = nn.Linear(6, 6)
        self.last = lif()

    def forward(self, x: Tensor) -> Tensor:
        spikes = self.fire(self.first(x))
        return self.last(self.second(spikes) + spikes)


class TwoOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Linear(6, 6)
        self.left = lif()
        self.right = lif(3.0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        current = self.weights(x)
        return self.left(current), self.right(current)


def lif(tau: float = 2.0) -> nn.Module:
    """A neuron that most frameworks can read: r = 1, rest and reset at zero."""
    return neuron.LIFNode(tau, v_threshold=0.4)


def after_linear(*rest: Callable[[], nn.Module]) -> Network:
    return Network(lambda: nn.Sequential(nn.Linear(6, 6), *(part() for part in rest)), (6,))


def picture(*parts: Callable[[], nn.Module]) -> Network:
    return Network(lambda: nn.Sequential(*(part() for part in parts)), (2, 8, 8))


def recurrent() -> nn.Module:
    loop = layer.LinearRecurrentContainer(lif(), 6, 6)
    return nn.Sequential(nn.Linear(6, 6), loop)


def per_neuron() -> nn.Module:
    return modules.LIF(torch.linspace(2.0, 4.0, 6), r=torch.linspace(1.0, 2.0, 6))


NETWORKS: dict[str, Network] = {
    "Affine, LIF": after_linear(lif),
    "Linear, LIF": Network(lambda: nn.Sequential(nn.Linear(6, 6, bias=False), lif()), (6,)),
    "LIF, r = tau / dt": after_linear(lambda: neuron.LIFNode(2.0, decay_input=False)),
    "LIF, v_reset": after_linear(lambda: neuron.LIFNode(2.0, v_threshold=0.4, v_reset=-0.2)),
    "LIF, soft reset": after_linear(lambda: neuron.LIFNode(2.0, v_threshold=0.4, v_reset=None)),
    "LIF per neuron": after_linear(per_neuron),
    "IF": after_linear(neuron.IFNode),
    "CubaLIF": after_linear(lambda: neuron.CUBALIFNode(0.5, 0.6)),
    "LI": after_linear(lambda: modules.LI(4.0)),
    "CubaLI": after_linear(lambda: modules.CubaLI(2.0, 4.0)),
    "I": after_linear(lambda: modules.I(0.5)),
    "Threshold": after_linear(lambda: modules.Threshold(torch.full((6,), 0.3))),
    "Scale": after_linear(lambda: modules.Scale(torch.linspace(1.0, 2.0, 6)), lif),
    "Delay": after_linear(lif, lambda: modules.Delay(torch.arange(6))),
    "Conv1d": Network(lambda: nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), lif()), (2, 8)),
    "Conv2d": picture(lambda: nn.Conv2d(2, 3, 3, padding=1), lif),
    "Conv2d, 3x5 kernel": picture(lambda: nn.Conv2d(2, 3, (3, 5), padding=(1, 2)), lif),
    "Conv2d, groups": picture(lambda: nn.Conv2d(2, 4, 3, padding=1, groups=2), lif),
    "Conv2d, same": picture(lambda: nn.Conv2d(2, 3, 3, padding="same"), lif),
    "AvgPool2d": picture(lambda: nn.AvgPool2d(2), lif),
    "AvgPool2d, padding": picture(lambda: nn.AvgPool2d(2, padding=1), lif),
    "SumPool2d": picture(lambda: nn.LPPool2d(1, 2), lif),
    "Flatten": picture(nn.Flatten, lambda: nn.Linear(128, 6), lif),
    "sum of branches": Network(Residual, (6,)),
    "recurrence": Network(recurrent, (6,)),
    "two outputs": Network(TwoOutputs, (6,)),
}


def write(name: str, folder: Path) -> str:
    """Export one network, and an input with the outputs that the graph gives by its equations.

    The input is drawn until no neuron comes near its threshold, so that rounding, and whether a
    neuron fires at its threshold, cannot change a spike.

    Raises:
        ValueError: no such input was found, or nothing fires.
    """
    network = NETWORKS[name]
    stem = "".join(c if c.isalnum() else "_" for c in name)
    for seed in range(200):
        torch.manual_seed(seed)
        net = network.make()
        example = torch.rand(SAMPLES, *network.shape)
        graph = sj_nir.export_to_nir(net, example, folder / f"{stem}.nir", dt=DT)
        x = 2.0 * torch.rand(STEPS, SAMPLES, *network.shape)
        result = sj_nir.interpret(graph, x.numpy(), dt=DT)
        busy = all(np.abs(out).sum() > 0 for out in result.outputs.values())
        if busy and result.margin > 1e-4:
            outputs = {f"y_{key}": value for key, value in result.outputs.items()}
            np.savez(folder / f"{stem}.npz", x=x.numpy(), dt=DT, **outputs)  # pyright: ignore[reportArgumentType]
            return stem
    raise ValueError(f"no input found for {name!r} that stays away from thresholds")
