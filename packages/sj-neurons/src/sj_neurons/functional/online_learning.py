"""Training step by step in time, with memory that does not grow with T.

FPTT, at each step t with the weights w, their running average r and the gradient
g = dl[t-1]/dw of the step before (0 at first):

    loss    l[t](w) + alpha/2 sum mse(w, r + g / (2 alpha)),  one step of the optimizer
    then    g <- dl[t]/dw at the new w,  r <- (r + w) / 2 - g / (2 alpha)

mse is the mean over each parameter's elements.

Sources: Kag, Saligrama, "Training recurrent neural networks via forward propagation through time",
ICML 2021; Xiao et al., "Online training through time for spiking neural networks", NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..base import extract_memories, load_memories
from .net import detach_net

__all__ = ["fptt_online_training", "fptt_online_training_init_w_ra", "ottt_online_training"]


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [w for group in optimizer.param_groups for w in group["params"] if w.requires_grad]


def fptt_online_training_init_w_ra(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Running averages for :func:`fptt_online_training`: copies of the optimizer's parameters."""
    return [w.detach().clone() for w in _parameters(optimizer)]


def fptt_online_training(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x_seq: Tensor,
    target_seq: Tensor,
    f_loss_t: Callable[[Tensor, Tensor], Tensor],
    alpha: float,
    w_ra: list[Tensor],
) -> None:
    """Train on one batch of sequences by forward propagation through time.

    The optimizer makes one step per time step; no graph spans two of them. The state after the
    last step stays in the model: reset it before the next batch.

    Args:
        model: a network in step mode `'s'`.
        optimizer: holds the parameters to train.
        x_seq: input, `[T, N, *]`.
        target_seq: target of each step, `[T, N, *]`.
        f_loss_t: loss of one step, called with output and target.
        alpha: weight of the pull to the running average, above 0.
        w_ra: running averages from :func:`fptt_online_training_init_w_ra`; updated in place and
            to be passed again for the next batch.

    Raises:
        ValueError: `alpha` is not above 0, the sequences differ in length or have no time steps,
            or `w_ra` does not belong to the optimizer.
    """
    parameters = _parameters(optimizer)
    if x_seq.shape[0] == 0:
        raise ValueError(
            f"fptt_online_training: expected x_seq [T, N, *] with T > 0, got {tuple(x_seq.shape)}"
        )
    if not alpha > 0:
        raise ValueError(f"fptt_online_training: alpha must be above 0, got {alpha}")
    if len(w_ra) != len(parameters):
        raise ValueError(
            f"fptt_online_training: the optimizer has {len(parameters)} parameters, w_ra has "
            f"{len(w_ra)}; make it with fptt_online_training_init_w_ra(optimizer)"
        )
    last_gradients = tuple(torch.zeros_like(w) for w in parameters)
    for x, target in zip(x_seq.unbind(0), target_seq.unbind(0), strict=True):
        state_before = extract_memories(model)
        optimizer.zero_grad()
        pull = sum(
            F.mse_loss(w, average + gradient / (2 * alpha))
            for w, average, gradient in zip(parameters, w_ra, last_gradients, strict=True)
        )
        (f_loss_t(model(x), target) + alpha / 2 * pull).backward()
        optimizer.step()
        detach_net(model)
        state_after = extract_memories(model)

        load_memories(model, state_before)
        loss = f_loss_t(model(x), target)
        last_gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        with torch.no_grad():
            for average, w, gradient in zip(w_ra, parameters, last_gradients, strict=True):
                average.copy_((average + w) / 2 - gradient / (2 * alpha))
        load_memories(model, state_after)
    optimizer.zero_grad()


def ottt_online_training(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x_seq: Tensor,
    target_seq: Tensor,
    f_loss_t: Callable[[Tensor, Tensor], Tensor],
    online: bool,
) -> tuple[Tensor, Tensor]:
    """Train on one batch of sequences with a backward pass per time step (OTTT, SLTT).

    The model's neurons must cut the graph between steps themselves, as `OTTTLIFNode` and
    `SLTTLIFNode` do. The state after the last step stays in the model: reset it before the next
    batch.

    Args:
        model: a network in step mode `'s'`.
        optimizer: holds the parameters to train.
        x_seq: input, `[N, T, *]`: batch first.
        target_seq: target of each step, `[N, T, *]`.
        f_loss_t: loss of one step, called with output and target.
        online: whether the optimizer makes a step per time step, instead of one at the end with
            the summed gradients.

    Returns:
        The sum of the losses, and the outputs `[N, T, *]`; both without graph.

    Raises:
        ValueError: the sequences differ in length, or have no time steps.
    """
    if x_seq.shape[1] == 0:
        raise ValueError(
            f"ottt_online_training: expected x_seq [N, T, *] with T > 0, got {tuple(x_seq.shape)}"
        )
    losses, outputs = [], []
    for x, target in zip(x_seq.unbind(1), target_seq.unbind(1), strict=True):
        if online or not losses:
            optimizer.zero_grad()
        y = model(x)
        loss = f_loss_t(y, target)
        loss.backward()
        if online:
            optimizer.step()
        losses.append(loss.detach())
        outputs.append(y.detach())
    if not online:
        optimizer.step()
    return torch.stack(losses).sum(), torch.stack(outputs, dim=1)
