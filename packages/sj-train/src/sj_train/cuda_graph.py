"""CUDA graphs: the kernels of a training step are launched together, without Python in between.

torch records forward and backward pass (``torch.compile`` with its backend ``cudagraphs``), and
replays them for later batches of the same shape; other shapes are recorded again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .errors import OptionError

__all__ = ["CapturedModel", "captured"]


class CapturedModel(nn.Module):
    """Runs ``module`` as it is for some batches, then from CUDA graphs.

    Args:
        module: takes tensors of the same shape in each step.
        warmup_steps: batches before the capture, in which libraries choose their kernels.
    """

    def __init__(self, module: nn.Module, *, warmup_steps: int) -> None:
        super().__init__()
        self.module = module
        self.warmup_steps = warmup_steps
        self.steps = 0
        # In a list, so that its parameters do not count twice.
        self._replayed = [torch.compile(module, backend="cudagraphs")]

    def forward(self, *inputs: Any) -> Any:
        if self.steps < self.warmup_steps:
            self.steps += 1
            return self.module(*inputs)
        return self._replayed[0](*inputs)


def captured(model: nn.Module, *, warmup_steps: int) -> CapturedModel:
    """``model`` as a :class:`CapturedModel`.

    Raises:
        OptionError: it runs in several processes, whose exchange of gradients is not captured.
    """
    if isinstance(model, nn.parallel.DistributedDataParallel):
        raise OptionError(
            "argument --execution-mode: cuda_graph works in a single process; use compile"
        )
    return CapturedModel(model, warmup_steps=warmup_steps)
