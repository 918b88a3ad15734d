"""Losses and helpers around the labels of spiking classifiers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "first_spike_index",
    "kernel_dot_product",
    "redundant_one_hot",
    "set_threshold_margin",
    "spike_similar_loss",
    "temporal_efficient_training_cross_entropy",
]

# every kernel and how many numbers it takes
_KERNELS = {"linear": 0, "polynomial": 1, "sigmoid": 1, "gaussian": 1}
_PAIR_LOSSES = {"mse": F.mse_loss, "l1": F.l1_loss, "bce": F.binary_cross_entropy}


def temporal_efficient_training_cross_entropy(x_seq: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of every time step, averaged over time.

        loss = 1/T sum_t CE(x[t], target)

    Args:
        x_seq: logits of each step, `[T, N, C, *]`.
        target: class of each sample, `[N, *]`, integers below C, or probabilities `[N, C, *]`.

    Raises:
        ValueError: `x_seq` has no time steps, or no axis for the classes.

    Source: Deng et al., "Temporal efficient training of spiking neural network via gradient
    re-weighting", ICLR 2022.
    """
    if x_seq.dim() < 3 or x_seq.shape[0] == 0:
        raise ValueError(f"expected logits [T, N, C, *] with T > 0, got shape {tuple(x_seq.shape)}")
    repeated = target.expand(x_seq.shape[0], *target.shape)
    return F.cross_entropy(x_seq.flatten(0, 1), repeated.flatten(0, 1))


def kernel_dot_product(x: Tensor, y: Tensor, kernel: str = "linear", *args: float) -> Tensor:
    """Dot products of all rows of `x` `[N, M]` and `y` `[K, M]` in the space of a kernel, `[N, K]`.

        linear              <x_i, y_j>
        polynomial, d       <x_i, y_j> ^ d
        sigmoid, alpha      sigmoid(alpha <x_i, y_j>)
        gaussian, sigma     exp(-|x_i - y_j|^2 / (2 sigma^2))

    Args:
        x, y: rows to compare, `[N, M]` and `[K, M]`.
        kernel: one of the names above.
        *args: the number that the kernel takes after its name.

    Raises:
        ValueError: an unknown kernel, a missing or superfluous number, or `sigma` not above 0.
    """
    if kernel not in _KERNELS:
        raise ValueError(f"unknown kernel {kernel!r}; choose one of {tuple(_KERNELS)}")
    if len(args) != _KERNELS[kernel]:
        raise ValueError(f"kernel {kernel!r} takes {_KERNELS[kernel]} number(s), got {len(args)}")
    if kernel == "linear":
        return x @ y.T
    if kernel == "polynomial":
        return (x @ y.T) ** args[0]
    if kernel == "sigmoid":
        return torch.sigmoid(args[0] * (x @ y.T))
    (sigma,) = args
    if not sigma > 0:
        raise ValueError(f"kernel 'gaussian' needs sigma > 0, got {sigma}")
    squared_distance = (x[:, None] - y[None]).square().sum(-1)
    return torch.exp(squared_distance / (-2 * sigma * sigma))


def spike_similar_loss(
    spikes: Tensor,
    labels: Tensor,
    kernel_type: str = "linear",
    loss_type: str = "mse",
    *args: float,
) -> Tensor:
    """How far the similarities of spikes are from the similarities of their labels.

        p_ij = kernel(s_i, s_j)                    linear: cosine, |s_i| |s_j| + 1e-8 below
        q_ij = min(1, <label_i, label_j>)          loss = loss_type(p, q)

    Args:
        spikes: output of the batch, `[N, *]`.
        labels: one-hot (or several-hot) labels, `[N, C]`.
        kernel_type: a kernel of :func:`kernel_dot_product`.
        loss_type: `'mse'`, `'l1'` or `'bce'`; the last needs similarities between 0 and 1.
        *args: the number that the kernel takes.

    Raises:
        ValueError: an unknown kernel or loss, or labels that do not fit the spikes.
    """
    if loss_type not in _PAIR_LOSSES:
        raise ValueError(f"unknown loss {loss_type!r}; choose one of {tuple(_PAIR_LOSSES)}")
    if labels.dim() != 2 or labels.shape[0] != spikes.shape[0]:
        raise ValueError(
            f"expected labels [N, C] for spikes [N, *], got shapes {tuple(labels.shape)} and "
            f"{tuple(spikes.shape)}"
        )
    rows = spikes.flatten(1)
    similarity = kernel_dot_product(rows, rows, kernel_type, *args)
    if kernel_type == "linear":
        length = rows.norm(dim=1)
        similarity = similarity / (torch.outer(length, length) + 1e-8)
        if loss_type == "bce":
            similarity = similarity.clamp(max=1.0)  # rounding must not leave the domain of log
    known = labels.to(similarity)
    return _PAIR_LOSSES[loss_type](similarity, (known @ known.T).clamp(max=1.0))


def redundant_one_hot(labels: Tensor, num_classes: int, n: int) -> Tensor:
    """One-hot labels with each class repeated `n` times: `[N]` -> `[N, num_classes * n]`, float32.

    Raises:
        ValueError: `n` is below 1.

    Example:
        >>> import torch
        >>> redundant_one_hot(torch.tensor([1]), 3, 2).tolist()
        [[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]]
    """
    if n < 1:
        raise ValueError(f"redundant_one_hot: n must be 1 or more, got {n}")
    return F.one_hot(labels.long(), num_classes).float().repeat_interleave(n, dim=-1)


def first_spike_index(spikes: Tensor) -> Tensor:
    """Boolean mask of the first spike along the last axis of `spikes` `[*, T]`.

    Example:
        >>> import torch
        >>> first_spike_index(torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])).tolist()
        [[False, True, False], [False, False, False]]
    """
    fired = spikes != 0
    return fired & (fired.cumsum(-1) == 1)


def set_threshold_margin(
    output_layer: nn.Module,
    label_one_hot: Tensor,
    eval_threshold: float = 1.0,
    threshold0: float = 0.9,
    threshold1: float = 1.1,
) -> None:
    """Make firing harder for the right class during training, and easier for all others.

    Sets `output_layer.v_threshold`: in training mode to `threshold1` where the label is 1 and
    `threshold0` elsewhere, `[N, C]`; in eval mode to the number `eval_threshold`.

    Args:
        output_layer: the neuron whose spikes are the output `[N, C]`.
        label_one_hot: one-hot labels of the coming batch, `[N, C]`.
        eval_threshold: threshold for evaluation.
        threshold0: threshold of the wrong classes.
        threshold1: threshold of the right class.

    Raises:
        TypeError: `output_layer` has no `v_threshold`.
    """
    if not hasattr(output_layer, "v_threshold"):
        raise TypeError(f"expected a neuron with v_threshold, got {type(output_layer).__name__}")
    if output_layer.training:
        dtype = label_one_hot.dtype
        if not label_one_hot.is_floating_point():
            dtype = torch.get_default_dtype()
        margin = torch.full_like(label_one_hot, threshold0, dtype=dtype)
        output_layer.v_threshold = margin.masked_fill(label_one_hot != 0, threshold1)
    else:
        output_layer.v_threshold = eval_threshold  # pyright: ignore[reportArgumentType]
