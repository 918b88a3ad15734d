"""Parameters spread over processes: each keeps a part of every tensor (FSDP2).

    block       a child of a Sequential, ModuleList or ModuleDict whose parameters, without those
                of blocks inside it, number at least `smallest`; gathered while it computes
    the root    the model with all other parameters
    0-d         parameters without axes, such as the time constant of PLIF, stay whole on every
                process, and their gradients are averaged

Buffers stay whole as well; those of process 0 are copied to the others, as they are for models
that are whole on every process.  States of neurons are of one process each.

Method: Zhao et al., "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel", 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from . import distributed
from .errors import OptionError

__all__ = ["is_sharded", "is_spread", "shard"]

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def shard(
    model: nn.Module,
    device: torch.device | str,
    *,
    smallest: int = 1_000_000,
    share_buffers: bool = True,
) -> nn.Module:
    """Spread the parameters of ``model`` over all processes, in place.

    Names, shapes and classes (``isinstance``) stay; parameters become ``DTensor``. Process 0 gives
    the start values. Build the optimizer afterwards.

    Args:
        model: on ``device``, the same on each process.
        device: ``cpu`` (gloo) or ``cuda`` (nccl).
        smallest: parameters that make a block worth being gathered on its own.
        share_buffers: copy buffers before each forward pass in training.

    Raises:
        RuntimeError: no process group.
        OptionError: the model cannot be spread, for example for parameters of several types.
    """
    if not distributed.is_initialised():
        raise RuntimeError("parameters are spread over the processes of a group: start one first")
    types = sorted({str(p.dtype) for p in model.parameters() if p.requires_grad and p.ndim})
    if len(types) > 1:
        raise OptionError(
            f"argument --parallel fsdp: needs parameters of one type, got {', '.join(types)}"
        )
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(torch.device(device).type, (distributed.world_size(),))
    _same_everywhere(chain(model.parameters(), model.buffers()))
    for parameter in model.parameters():
        # Channels-last weights and the like: parts are cut from plain rows.
        parameter.data = parameter.data.contiguous()
    scalars = {parameter for parameter in model.parameters() if parameter.ndim == 0}
    kept: dict[str, Any] = {"ignored_params": scalars} if scalars else {}
    try:
        for module in (*_blocks(model, smallest), model):
            # The root too gives its parameters back: what comes between passes sees parts only.
            fully_shard(module, mesh=mesh, reshard_after_forward=True, **kept)
    except (ValueError, AssertionError, NotImplementedError) as error:
        raise OptionError(
            f"argument --parallel fsdp: {str(error).partition(chr(10))[0]}"
        ) from error
    if scalars:
        _replicate(model, mesh)
    if share_buffers and any(True for _ in model.buffers()):
        model.register_forward_pre_hook(_copy_buffers)
    return model


def is_sharded(model: nn.Module) -> bool:
    """Whether :func:`shard` was applied to ``model`` or to a part of it."""
    return any(is_spread(parameter) for parameter in model.parameters())


def is_spread(tensor: Tensor) -> bool:
    """Whether ``tensor`` is a ``DTensor``, of which this process holds a part."""
    return hasattr(tensor, "device_mesh")


def _blocks(model: nn.Module, smallest: int) -> list[nn.Module]:
    """What is gathered on its own, inner blocks before those around them."""
    uses = [id(p) for _, p in model.named_parameters(remove_duplicate=False)]
    if len(uses) != len(set(uses)):
        return []  # parameters used in several places must be in the same group: the root
    blocks: list[nn.Module] = []

    def visit(module: nn.Module) -> int:
        count = sum(p.numel() for p in module.parameters(recurse=False))
        for child in module.children():
            inside = visit(child)
            without_forward = isinstance(child, nn.ModuleList | nn.ModuleDict)
            if isinstance(module, _CONTAINERS) and inside >= smallest and not without_forward:
                blocks.append(child)
                inside = 0
            count += inside
        return count

    visit(model)
    return blocks


@torch.no_grad()
def _same_everywhere(tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        whole = tensor.detach().contiguous()
        dist.broadcast(whole, 0)
        tensor.detach().copy_(whole)


def _copy_buffers(module: nn.Module, inputs: Any) -> None:
    if not (module.training and torch.is_grad_enabled()):
        return
    kinds: dict[torch.dtype, list[Tensor]] = {}
    for buffer in module.buffers():
        kinds.setdefault(buffer.dtype, []).append(buffer)
    for buffers in kinds.values():
        flat = torch.cat([buffer.detach().reshape(-1) for buffer in buffers])
        dist.broadcast(flat, 0)
        for buffer, part in zip(buffers, flat.split([b.numel() for b in buffers]), strict=True):
            buffer.detach().copy_(part.view(buffer.shape))


def _replicate(model: nn.Module, mesh: Any) -> None:
    """Make 0-d parameters DTensors like the others; layers see plain tensors while they compute."""
    from torch.distributed.tensor import DTensor, Replicate

    made: dict[nn.Parameter, nn.Parameter] = {}
    for module in model.modules():
        names = []
        for name, parameter in module._parameters.items():
            if parameter is None or parameter.ndim:
                continue
            if parameter not in made:
                whole = DTensor.from_local(parameter.detach(), mesh, [Replicate()], run_check=False)
                made[parameter] = nn.Parameter(whole, parameter.requires_grad)
                if parameter.requires_grad:
                    made[parameter].register_post_accumulate_grad_hook(_average_gradient)
            module._parameters[name] = made[parameter]
            names.append(name)
        if names:
            module.register_forward_pre_hook(_show_plain(names))


def _average_gradient(parameter: Tensor) -> None:
    assert parameter.grad is not None  # called after it was added to
    gradient: Any = parameter.grad
    local = gradient.to_local()
    dist.all_reduce(local)
    local /= distributed.world_size()


def _show_plain(names: list[str]) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: Any) -> None:
        for name in names:
            parameter: Any = module._parameters[name]
            # An instance's own attribute comes before its parameter of that name. It stays
            # after the call, for what is computed again in the backward pass.
            module.__dict__[name] = parameter.to_local()

    return hook
