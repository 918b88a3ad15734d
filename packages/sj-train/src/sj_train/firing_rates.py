"""Firing rates of the layers of a net, from one batch.

rate = mean of the output over steps, samples and neurons      spikes per neuron and step
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sj_neurons.base import MemoryModule

__all__ = ["SpikeProbe"]

KEPT_NEURONS = 64


class SpikeProbe:
    """Watches the neurons of ``model`` during its next forward pass, then lets go.

    Args:
        model: its neurons are the modules with a surrogate function; the others are ignored.

    Attributes:
        rates: layer name -> firing rate of the last watched pass.
        spikes: layer name -> output ``[T, neurons]`` of its first sample, 64 neurons spread over
            the layer or all if there are fewer; only where ``arm`` was told to keep them.

    Example:
        >>> from sj_neurons import neuron
        >>> net = nn.Sequential(neuron.IFNode(step_mode="m"))
        >>> probe = SpikeProbe(net)
        >>> probe.arm()
        >>> _ = net(torch.full((4, 1, 1), 0.5))
        >>> probe.rates
        {'0': 0.5}
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.neurons = {
            name or type(module).__name__: module
            for name, module in model.named_modules()
            if isinstance(module, MemoryModule) and hasattr(module, "surrogate_function")
        }
        self.rates: dict[str, float] = {}
        self.spikes: dict[str, Tensor] = {}
        self._handles: list[Any] = []
        self._sums: dict[str, list[Tensor]] = {}
        self._kept: dict[str, list[Tensor]] = {}

    def arm(self, *, keep: bool = False) -> None:
        """Watch the next forward pass.

        Args:
            keep: also store what the neurons did, for a figure.
        """
        self.disarm()
        self._sums, self._kept = {}, {}
        for name, node in self.neurons.items():
            self._handles.append(node.register_forward_hook(self._watch(name, keep)))
        self._handles.append(self.model.register_forward_hook(self._finish))

    def disarm(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _watch(self, name: str, keep: bool) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                return
            output = output.detach()
            self._sums.setdefault(name, []).append(output.mean(dtype=torch.float32))
            if keep:
                steps = output if getattr(module, "step_mode", "s") == "m" else output.unsqueeze(0)
                first = steps[:, 0].flatten(1) if steps.ndim > 2 else steps
                kept = first[:, _spread(first.shape[1])].float().cpu()
                self._kept.setdefault(name, []).append(kept)

        return hook

    def _finish(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.disarm()
        # Single-step neurons were called once per step.
        self.rates = {name: float(torch.stack(v).mean()) for name, v in self._sums.items()}
        self.spikes = {name: torch.cat(v) for name, v in self._kept.items()}


def _spread(neurons: int) -> list[int]:
    count = min(neurons, KEPT_NEURONS)
    return [index * neurons // count for index in range(count)]
