"""Batch normalisation and the neuron behind it, in one go.

    y[t] = (x[t] - mean) / sqrt(variance + eps) * weight + bias      per channel
    s    = node(y)

Shapes: x_seq [T, N, C, *], statistics over T, N and * together. On a fused backend y never exists
in memory: what is kept for the backward pass is x.

Source: Ioffe, Szegedy, "Batch normalization", ICML 2015; over time and batch together: Zheng et
al., "Going deeper with directly-trained larger spiking neural networks", AAAI 2021.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..base import MemoryModule, _is_exporting
from ..neuron.base import BaseNode, _constant_when_compiled

__all__ = ["batch_norm_module_neuron", "batch_norm_neuron"]


class _Norm(NamedTuple):
    """The arguments of a normalisation; vectors are `[C]`."""

    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    training: bool
    momentum: float
    eps: float


def batch_norm_neuron(
    x_seq: Tensor,
    node: MemoryModule,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Output of `node` `[T, N, C, *]` on `x_seq` `[T, N, C, *]` normalised over all but C.

    The same as `torch.nn.functional.batch_norm` on `[T * N, C, *]` and then `node`, up to rounding.
    On backends `'cpp'` and `'cupy'` both are one kernel, unless the node has hooks, which must see
    its input, or reshapes its input before its steps.

    Args:
        x_seq: input, T steps.
        node: a neuron in step mode `'m'`; its states and `v_seq` are as after `node(y)`.
        running_mean, running_var: `[C]`, updated in place when `training`, and used instead of the
            statistics of the input otherwise.
        weight, bias: `[C]`; 1 and 0 if `None`.
        training: whether to normalise by the statistics of the input.
        momentum: share of this input in the running statistics; its variance goes in unbiased, by
            the number n of values per channel, T * N * H * W also where all steps are the same.
        eps: added to the variance.

    Raises:
        ValueError: the node is not in step mode `'m'`, a shape does not fit, one value per channel
            when training, or no running statistics when not.
        NotImplementedError: the backend of the node cannot run it on this device or dtype.
    """
    norm = _Norm(running_mean, running_var, weight, bias, training, momentum, eps)
    _check(x_seq, node, norm)
    if not x_seq.is_floating_point():
        x_seq = x_seq.to(torch.get_default_dtype())
    if _takes_any_input(node) and x_seq.numel() > 0:
        spikes = _fused(x_seq, node, norm)
        if spikes is not None:
            return spikes
    y = functional.batch_norm(
        x_seq.flatten(0, 1), running_mean, running_var, weight, bias, training, momentum, eps
    )
    return node(y.unflatten(0, x_seq.shape[:2]))


def batch_norm_module_neuron(
    x_seq: Tensor, norm: nn.modules.batchnorm._BatchNorm, node: MemoryModule
) -> Tensor:
    """:func:`batch_norm_neuron` with the parameters, statistics and mode of a BatchNorm module.

    Hooks of `norm` do not run.

    Args:
        x_seq: input `[T, N, C, *]`.
        norm: `BatchNorm1d`, `2d` or `3d`; its running statistics and counter are updated.
        node: a neuron in step mode `'m'`.

    Raises:
        TypeError: `norm` is no BatchNorm, or one that is synchronised between processes.
        ValueError: see :func:`batch_norm_neuron`; or not the number of dimensions `norm` takes.
    """
    batch_norm = nn.modules.batchnorm._BatchNorm
    if not isinstance(norm, batch_norm) or isinstance(norm, nn.SyncBatchNorm):
        raise TypeError(
            f"expected a BatchNorm1d, BatchNorm2d or BatchNorm3d, got {type(norm).__name__}"
        )
    if x_seq.dim() > 0 and x_seq.shape[0] > 0:
        norm._check_input_dim(x_seq[0])
    counts = norm.training and norm.track_running_stats
    momentum = norm.momentum
    if counts and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        if momentum is None:
            momentum = 1.0 / float(norm.num_batches_tracked)
    keeps = counts or not norm.training
    return batch_norm_neuron(
        x_seq,
        node,
        norm.running_mean if keeps else None,
        norm.running_var if keeps else None,
        norm.weight,
        norm.bias,
        norm.training or norm.running_mean is None,
        0.0 if momentum is None else momentum,
        norm.eps,
    )


def _check(x_seq: Tensor, node: MemoryModule, norm: _Norm) -> None:
    owner = "batch_norm_neuron"
    if node.step_mode != "m":
        raise ValueError(
            f"{owner}: {type(node).__name__} is in step mode {node.step_mode!r}; set it to 'm'"
        )
    if x_seq.dim() < 3 or x_seq.shape[0] == 0:
        raise ValueError(
            f"{owner}: expected a sequence [T, N, C, *] with T > 0, got shape {tuple(x_seq.shape)}"
        )
    channels = x_seq.shape[2]
    for name in ("running_mean", "running_var", "weight", "bias"):
        vector: Tensor | None = getattr(norm, name)
        if vector is not None and tuple(vector.shape) != (channels,):
            raise ValueError(
                f"{owner}: {name} must have shape ({channels},), one value for each channel of "
                f"x_seq {tuple(x_seq.shape)}, got {tuple(vector.shape)}"
            )
    if (norm.running_mean is None) != (norm.running_var is None):
        raise ValueError(f"{owner}: running_mean and running_var go together, one is None")
    if norm.training:
        if x_seq.numel() == channels:
            raise ValueError(
                "Expected more than 1 value per channel when training, got input size "
                f"{tuple(x_seq.shape)}"
            )
    elif norm.running_mean is None:
        raise ValueError(f"{owner}: without running statistics training must be True")


def _takes_any_input(node: MemoryModule) -> bool:
    """Whether calling `node` is running its steps on a fused backend and nothing else."""
    return (
        isinstance(node, BaseNode)
        and node.backend != "torch"
        and type(node).multi_step_forward is BaseNode.multi_step_forward
        and type(node).forward is MemoryModule.forward
        and not (node._forward_hooks or node._forward_pre_hooks)
        and not (node._backward_hooks or node._backward_pre_hooks)
        and not _is_exporting()  # which wants states as the node lays them out
    )


def _fused(x_seq: Tensor, node: Any, norm: _Norm) -> Tensor | None:
    """Spikes by the fused backend of `node`, or None if torch is to run."""
    from ..kernels import run
    from ..kernels.autograd import fused
    from ..kernels.batch_norm import normalised_and_fused

    call = run.call_for(node, x_seq)
    if call is None:
        return None
    program = _affine_program(call.program, call.backend, x_seq.device.type, x_seq.dtype)
    if program is None:
        return None
    start = run.started(node, call, x_seq)
    real = torch.float64 if x_seq.dtype == torch.float64 else torch.float32
    weight, bias = _weights(x_seq, norm, real, call.has_gradient)
    numbers, store = call.numbers, node.store_v_seq
    x, repeat, states, parameters, rest = start
    if norm.training:
        spikes, v_seq, last, mean, variance = normalised_and_fused(
            x, repeat, weight, bias, states, parameters, call.program, numbers, rest, store,
            call.backend, norm.eps,
        )  # fmt: skip
        _update(norm, mean, variance, x_seq.numel() // x_seq.shape[2])
    else:
        parameters = [*parameters, *_constant_affine(norm, weight, bias, x_seq.dim() - 3)]
        spikes, v_seq, last = fused(
            x, repeat, states, parameters, program, numbers, rest, store, call.backend
        )
    node._memories.update(zip(call.states, last, strict=True))
    if store:
        node.v_seq = v_seq
    return spikes


@_constant_when_compiled
def _affine_program(program: str, backend: str, device: str, dtype: torch.dtype) -> str | None:
    """Text of the program that normalises its input, or None if it cannot be compiled here."""
    from ..kernels.affine import affine_program

    return affine_program(program, backend, device, dtype)


def _weights(
    x_seq: Tensor, norm: _Norm, real: torch.dtype, has_gradient: bool
) -> tuple[Tensor, Tensor]:
    """Weight and bias as tensors `[C]`."""
    vectors: list[Tensor] = []
    for vector, value in ((norm.weight, 1.0), (norm.bias, 0.0)):
        if vector is None:
            vector = torch.full((x_seq.shape[2],), value, dtype=real, device=x_seq.device)
        vectors.append(vector.to(real) if has_gradient else vector.detach().to(real))
    return vectors[0], vectors[1]


def _constant_affine(
    norm: _Norm, weight: Tensor, bias: Tensor, trailing: int
) -> tuple[Tensor, Tensor]:
    """What the running statistics make of the input, a and b of a x + b, as `[C, *]`."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None  # checked before
    a = weight * (variance.double() + norm.eps).rsqrt()
    b = bias - mean * a
    shape = (-1, *(1,) * trailing)
    return a.to(weight.dtype).reshape(shape), b.to(weight.dtype).reshape(shape)


@torch.no_grad()
def _update(norm: _Norm, mean: Tensor, variance: Tensor, n: int) -> None:
    """Move the running statistics; n is the number of values per channel."""
    pairs = ((norm.running_mean, mean), (norm.running_var, variance * (n / (n - 1))))
    for running, new in pairs:
        if running is not None:
            running.mul_(1.0 - norm.momentum).add_(new.to(running.dtype), alpha=norm.momentum)
