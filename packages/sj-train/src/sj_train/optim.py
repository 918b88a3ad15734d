"""Parameter groups, optimizers by name, and learning-rate schedules with warm-up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    SequentialLR,
    StepLR,
)

from .errors import OptionError, UnknownOptimizerError

__all__ = ["build_optimizer", "build_scheduler", "parameter_groups"]

SCHEDULERS = ("step", "cosa", "exp")
WARMUPS = ("linear", "constant")

_NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.LocalResponseNorm,
    nn.CrossMapLRN2d,
)


def parameter_groups(
    model: nn.Module, *, weight_decay: float, norm_weight_decay: float
) -> list[dict[str, Any]]:
    """Trainable parameters in two groups: those of normalisation layers, and the others."""
    norms: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    seen: set[int] = set()
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                (norms if isinstance(module, _NORMS) else others).append(parameter)
    groups = [(norms, norm_weight_decay), (others, weight_decay)]
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]


def build_optimizer(
    name: str,
    parameters: Iterable[Any],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Optimizer:
    """SGD (``sgd``, ``sgd_nesterov``), ``rmsprop`` or ``adamw``; the case does not matter.

    Raises:
        UnknownOptimizerError: any other name.
    """
    lowered = name.lower()
    if lowered.startswith("sgd"):
        return torch.optim.SGD(
            parameters,
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            nesterov="nesterov" in lowered,
        )
    if lowered == "rmsprop":
        return torch.optim.RMSprop(
            parameters, lr=lr, momentum=momentum, weight_decay=weight_decay, eps=0.0316, alpha=0.9
        )
    if lowered == "adamw":
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)
    raise UnknownOptimizerError(
        f"argument --opt: unknown optimizer {name!r}; known are sgd, sgd_nesterov, rmsprop, adamw"
    )


def build_scheduler(
    optimizer: Optimizer,
    name: str,
    *,
    epochs: int,
    step_size: int,
    gamma: float,
    warmup_epochs: int,
    warmup_method: str,
    warmup_decay: float,
) -> LRScheduler:
    """Schedule stepped once per epoch, after an optional warm-up from ``warmup_decay * lr``.

    Raises:
        OptionError: an unknown schedule or warm-up method.
    """
    if warmup_method.lower() not in WARMUPS:
        raise OptionError(
            f"argument --lr-warmup-method: unknown method {warmup_method!r}; "
            f"known are {', '.join(WARMUPS)}"
        )
    lowered = name.lower()
    if lowered == "step":
        main: LRScheduler = StepLR(optimizer, step_size=step_size, gamma=gamma)
    elif lowered == "cosa":
        # A run that ends within its warm-up never reaches the main schedule.
        main = CosineAnnealingLR(optimizer, T_max=max(1, epochs - warmup_epochs))
    elif lowered == "exp":
        main = ExponentialLR(optimizer, gamma=gamma)
    else:
        raise OptionError(
            f"argument --lr-scheduler: unknown schedule {name!r}; known are {', '.join(SCHEDULERS)}"
        )
    if warmup_epochs == 0:
        return main
    if warmup_method.lower() == "linear":
        warmup: LRScheduler = LinearLR(
            optimizer, start_factor=warmup_decay, total_iters=warmup_epochs
        )
    else:
        warmup = ConstantLR(optimizer, factor=warmup_decay, total_iters=warmup_epochs)
    return SequentialLR(optimizer, [warmup, main], milestones=[warmup_epochs])
