"""A delay of its own for each element.

y[t] = x[t - d], zeros before
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sj_neurons.base import MemoryModule

__all__ = ["Delay"]


class Delay(MemoryModule):
    """Hands each element of its input on some steps later, and zeros until then.

    The inputs under way are in the memory `queue`: `[]` after a reset, then `[D, N, *]` with D the
    longest delay, the oldest first. They carry over from call to call in both step modes.

    Args:
        delay_steps: whole numbers of 0 or more, one for each element of a sample `[*]`; they become
            a buffer.
        step_mode: `'s'` (`[N, *]`) or `'m'` (`[T, N, *]`).

    Raises:
        TypeError: `delay_steps` are no whole numbers.
        ValueError: a negative delay, or an input that does not fit the delays or what is under way.

    Example:
        >>> Delay(torch.tensor([0, 2]), step_mode="m")(torch.ones(3, 1, 2)).tolist()   # T=3, N=1
        [[[1.0, 0.0]], [[1.0, 0.0]], [[1.0, 1.0]]]
    """

    delay_steps: Tensor

    def __init__(self, delay_steps: Tensor, step_mode: str = "s") -> None:
        super().__init__()
        steps = torch.as_tensor(delay_steps)
        if steps.is_floating_point() or steps.is_complex() or steps.dtype == torch.bool:
            raise TypeError(f"Delay: delay_steps must be whole numbers, got {steps.dtype}")
        if steps.numel() == 0 or int(steps.min()) < 0:
            raise ValueError("Delay: delay_steps must be 0 or more, and at least one")
        self.register_buffer("delay_steps", steps.to(torch.int64, copy=True))
        self.longest = int(steps.max())
        self.register_memory("queue", [])
        self.step_mode = step_mode

    def single_step_forward(self, x: Tensor) -> Tensor:
        return self.multi_step_forward(x.unsqueeze(0)).squeeze(0)

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        sample = self.delay_steps.shape
        if x_seq.dim() != 2 + len(sample) or x_seq.shape[0] == 0 or x_seq.shape[2:] != sample:
            raise ValueError(
                f"Delay: expected [T, N, *] with samples {tuple(sample)} and T > 0, "
                f"got shape {tuple(x_seq.shape)}"
            )
        known = torch.cat([self._under_way(x_seq), x_seq])
        start = self.longest - self.delay_steps
        steps = torch.arange(x_seq.shape[0], device=x_seq.device)
        index = steps.view(-1, 1, *(1 for _ in sample)) + start
        self.queue = known[x_seq.shape[0] :]
        return known.gather(0, index.expand_as(x_seq))

    def _under_way(self, x_seq: Tensor) -> Tensor:
        queue: Any = self.queue
        if not isinstance(queue, Tensor):
            return x_seq.new_zeros((self.longest, *x_seq.shape[1:]))
        if queue.shape[1:] != x_seq.shape[1:]:
            raise ValueError(
                f"Delay: input {tuple(x_seq.shape[1:])} does not match the state "
                f"{tuple(queue.shape[1:])} of the previous step; call reset() between sequences"
            )
        return queue.to(x_seq)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.longest = int(self.delay_steps.max())

    def extra_repr(self) -> str:
        shape = tuple(self.delay_steps.shape)
        return f"elements={shape}, longest={self.longest}, step_mode={self.step_mode}"
