"""What a log holds beside the scores: learning rate, firing rates, throughput, memory.

lr                        of the first parameter group, in this epoch
train_samples_per_s       and test_..., ema_test_...; all processes together
memory_mib                peak of the device, or of the process on a CPU
firing_rate/<layer>       on the first test batch, see firing_rates
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sized
from typing import Any, TypeVar

import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from . import distributed
from .extras import require
from .firing_rates import SpikeProbe
from .spike_figure import draw_spikes

__all__ = ["Watch", "count_samples"]

_Result = TypeVar("_Result")


class Watch:
    """Measures the passes of an epoch.

    Args:
        model: the evaluated model, for its firing rates; None leaves them out.
        samples: pass (``train``, ``test``, ...) -> samples over all processes.
        figures_every: epochs between pictures of the spikes; 0 draws none.
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        samples: Mapping[str, int] | None = None,
        *,
        figures_every: int = 0,
    ) -> None:
        self.probe = None if model is None else SpikeProbe(model)
        self.samples = dict(samples or {})
        self.figures_every = figures_every
        if figures_every:
            # Missing, it is better known now than after the first epoch.
            require("matplotlib.figure", "plot")
        self.values: dict[str, float] = {}
        self._draw = False

    def begin(self, epoch: int, optimizer: Optimizer) -> None:
        self.values = {"lr": float(optimizer.param_groups[0]["lr"])}
        self._draw = self.figures_every > 0 and epoch % self.figures_every == 0
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.reset_peak_memory_stats()

    def measure(self, name: str, call: Callable[[], _Result]) -> _Result:
        """Result of ``call``, one pass over the data; its speed is noted."""
        watched = self.probe is not None and name == "test"
        if self.probe is not None and watched:
            self.probe.arm(keep=self._draw)
        started = time.perf_counter()
        try:
            result = call()
        finally:
            if self.probe is not None:
                self.probe.disarm()
        seconds = max(time.perf_counter() - started, 1e-9)
        if name in self.samples:
            self.values[f"{name}_samples_per_s"] = self.samples[name] / seconds
        if self.probe is not None and watched:
            for layer, rate in self.probe.rates.items():
                self.values[f"firing_rate/{layer}"] = rate
        return result

    def row(self) -> dict[str, float]:
        memory = peak_memory_mib()
        return self.values if memory is None else self.values | {"memory_mib": memory}

    def figure(self, epoch: int) -> Any:
        """The epoch's picture, or None where none is due."""
        if not self._draw or self.probe is None or not self.probe.spikes:
            return None
        return draw_spikes(self.probe.spikes, self.probe.rates, f"epoch {epoch}")


def count_samples(loader: DataLoader[Any]) -> int:
    """Samples of one pass over all processes; 0 where the loader does not know."""
    try:
        batches = len(loader)
    except TypeError:
        return 0
    sampler, batch = loader.sampler, loader.batch_size
    count = batches * (batch or 1)
    if not loader.drop_last and batch is not None:
        count = min(count, len(sampler)) if isinstance(sampler, Sized) else count
    return count * distributed.world_size()


def peak_memory_mib() -> float | None:
    """Peak memory in MiB: of the GPU since the epoch began, else of this process so far."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, Linux kibibytes.
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
