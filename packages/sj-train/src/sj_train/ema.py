"""Exponential moving average of a model.

a <- decay * a + (1 - decay) * p      floating-point entries of the state dict
a <- p                                other entries, and the first update
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from . import distributed

__all__ = ["ModelEma"]


class ModelEma(nn.Module):
    """A slow copy of ``model``; the state dict has ``n_averaged`` and ``module.<name>``.

    Args:
        model: the model to follow, not wrapped.
        decay: share of the old average that an update keeps, 0 to 1.
        every: training steps between updates.
        warmup_epochs: epochs in which an update copies instead of averaging.
    """

    n_averaged: Tensor

    def __init__(
        self, model: nn.Module, decay: float, *, every: int = 1, warmup_epochs: int = 0
    ) -> None:
        super().__init__()
        if not 0 <= decay <= 1:
            raise ValueError(f"decay must be between 0 and 1, got {decay}")
        if every < 1:
            raise ValueError(f"every must be at least 1 step, got {every}")
        self.module = copy.deepcopy(model)
        self.module.requires_grad_(False)
        self.decay = decay
        self.every = every
        self.warmup_epochs = warmup_epochs
        self.register_buffer("n_averaged", torch.tensor(0, dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)

    def after_step(self, model: nn.Module, *, step: int, epoch: int) -> None:
        """Update when ``step`` (counted within the epoch) is a multiple of ``every``."""
        if step % self.every:
            return
        self.update(model)
        if epoch < self.warmup_epochs:
            self.n_averaged.zero_()

    def update_parameters(self, model: nn.Module) -> None:
        """:meth:`update` under the name that torch's averaged models have, from a wrapped model."""
        self.update(distributed.unwrap(model))

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        current = model.state_dict()
        first = int(self.n_averaged) == 0
        for name, average in self.module.state_dict().items():
            value = current[name]
            if first or not average.is_floating_point():
                average.copy_(value)
            else:
                average.lerp_(value.to(average.dtype), 1 - self.decay)
        self.n_averaged += 1
