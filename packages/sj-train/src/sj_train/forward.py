"""From a batch to its loss: what happens in training before the backward pass.

Tensors: ``x`` as the loader gives it (``[N, ...]``), ``target`` classes ``[N]`` or class
weights ``[N, K]``; ``preprocess`` may add the time axis (``[T, N, ...]``), ``process_output``
removes it again, so that the criterion sees ``[N, K]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sj_neurons import functional

from . import distributed
from .errors import NonFiniteLossError
from .metrics import as_classes, check_classes
from .nan_report import origin_of_non_finite
from .parallel import is_sharded

__all__ = ["Criterion", "ForwardPass", "Transform", "identity"]

Transform = Callable[[Tensor], Tensor]
Criterion = Callable[[Tensor, Tensor], Tensor]


def identity(x: Tensor) -> Tensor:
    return x


@dataclass
class ForwardPass:
    """Gives loss and output of a batch.

    Attributes:
        transfer: moves a tensor to the device.
        amp_dtype: autocast type of preprocessing, model, output hook and criterion.
        step_criterion: loss of the model's output before ``process_output``, in place of
            ``criterion``.
    """

    model: nn.Module
    criterion: Criterion
    device: torch.device
    preprocess: Transform
    process_output: Transform
    transfer: Transform
    amp_dtype: torch.dtype | None = None
    step_criterion: Criterion | None = None

    def __post_init__(self) -> None:
        self.spread = is_sharded(self.model)

    def __call__(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The loss, the output ``[N, K]``, and the target on the device.

        Raises:
            ClassCountError: a label has no output.
        """
        with self._autocast():
            steps = self.model(self.preprocess(self.transfer(x)))
            output = self.process_output(steps)
            check_classes(output, target)
            target = self.transfer(as_classes(target))
            if self.step_criterion is None:
                return self.criterion(output, target), output, target
            return self.step_criterion(steps, target), output, target

    def _autocast(self) -> torch.autocast:
        amp = self.amp_dtype
        return torch.autocast(self.device.type, dtype=amp, enabled=amp is not None)

    def check_loss(self, loss: float, x: Tensor, where: str) -> None:
        """Refuse a loss that is not finite, here or where other parts of the model are.

        Raises:
            NonFiniteLossError: names the layer or input where it began.
        """
        broken = not math.isfinite(loss)
        # Processes that hold parts of a model can only look for the origin together.
        if self.spread:
            anywhere = distributed.sum_over_ranks([float(broken)], self.device)[0] > 0
        else:
            anywhere = broken
        if not anywhere:
            return
        bare = distributed.unwrap(self.model)
        functional.reset_net(bare)
        with self._autocast():
            origin = origin_of_non_finite(bare, self.preprocess(self.transfer(x)))
        which = f"the loss is {loss}" if broken else "another process has a broken loss"
        raise NonFiniteLossError(
            f"{which} at {where}: {origin}. The step was not applied; lower the learning rate, "
            "clip gradients or check the input"
        )
