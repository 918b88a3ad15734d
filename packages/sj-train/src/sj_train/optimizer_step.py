"""Gradients of one or several batches, then one optimizer step.

g = 1/k (g_1 + ... + g_k)      k batches; fewer in the last group of an epoch
"""

from __future__ import annotations

from collections.abc import Sized
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .errors import OptionError

__all__ = ["OptimizerStep"]


class OptimizerStep:
    """Accumulates gradients over ``every`` batches and applies them.

    Args:
        loader: gives the number of batches, so that the last group may be smaller.
        clip_grad_norm: upper limit of the total gradient norm.

    Raises:
        OptionError: accumulation over a loader without a length.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        loader: Any,
        *,
        scaler: torch.amp.GradScaler | None = None,
        clip_grad_norm: float | None = None,
        every: int = 1,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.scaler = scaler
        self.clip_grad_norm = clip_grad_norm
        self.every = every
        self._batches = None
        if every > 1:
            # A DataLoader over an iterable has the method and raises.
            with suppress(TypeError):
                self._batches = len(loader) if isinstance(loader, Sized) else None
            if self._batches is None:
                raise OptionError("--grad-accum-steps needs a loader that knows its length")

    def closes(self, step: int) -> bool:
        """Whether the batch ``step`` (from 0) is the last of its group."""
        return (step + 1) % self.every == 0 or step + 1 == self._batches

    def context(self, step: int) -> AbstractContextManager[Any]:
        """For forward and backward pass: other processes are only waited for where needed."""
        no_sync = None if self.closes(step) else getattr(self.model, "no_sync", None)
        return nullcontext() if no_sync is None else no_sync()

    def backward(self, loss: Tensor, step: int) -> None:
        if step % self.every == 0:
            self.optimizer.zero_grad(set_to_none=True)
        size = self.every
        if self._batches is not None:
            size = min(size, self._batches - step // self.every * self.every)
        if size > 1:
            loss = loss / size
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()

    def apply(self) -> None:
        if self.clip_grad_norm is not None:
            if self.scaler is not None:
                # Clipping must see the gradients in their true size.
                self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_grad_norm)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
