"""Set and reset all stateful modules of a network at once."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from torch import nn

from ..backend import AUTO, check_name
from ..base import MemoryModule, StepModule

__all__ = [
    "collect_reset_modules",
    "detach_net",
    "invalidate_reset_cache",
    "reset_collected_modules",
    "reset_net",
    "sequence",
    "set_backend",
    "set_step_mode",
]

logger = logging.getLogger(__name__)

Net = TypeVar("Net", bound=nn.Module)


def reset_net(net: nn.Module) -> None:
    """Set every state in `net` back to its reset value; call it between sequences.

    All modules that have a method `reset` are found anew at each call, so that those added to the
    net since the last call are reached too.
    """
    reset_collected_modules(collect_reset_modules(net))


@contextmanager
def sequence(net: Net) -> Iterator[Net]:
    """A block that runs one sequence through `net`: states are reset on entry and on exit.

    The exit reset happens after an exception too. What the block computed keeps its graph, so the
    backward pass may follow the block.

    Example:
        >>> import torch
        >>> from sj_neurons import neuron
        >>> net = neuron.IFNode()
        >>> with sequence(net):
        ...     spikes = [net(torch.full((1,), 0.5)).item() for t in range(4)]
        >>> spikes, net.v
        ([0.0, 1.0, 0.0, 1.0], 0.0)
    """
    reset_net(net)
    try:
        yield net
    finally:
        reset_net(net)


def collect_reset_modules(net: nn.Module) -> tuple[nn.Module, ...]:
    """The modules in `net`, itself included, that have a method `reset`, as they are now.

    A tuple for :func:`reset_collected_modules`; it does not follow later changes of the net.
    """
    return tuple(module for module in net.modules() if callable(getattr(module, "reset", None)))


def reset_collected_modules(modules: Iterable[nn.Module]) -> None:
    """Call `reset` of each module; :func:`reset_net` without the search.

    Modules that are no `MemoryModule` are reset as well, with a warning in the log.
    """
    for module in modules:
        if not isinstance(module, MemoryModule):
            logger.warning("%s is reset although it is not a MemoryModule", type(module).__name__)
        module.reset()  # pyright: ignore[reportCallIssue]


def invalidate_reset_cache(net: nn.Module) -> None:
    """Do nothing: there is no cache, as :func:`reset_net` looks through the net at each call.

    It exists for code written for libraries in which modules added after the first reset are
    missed until this is called.
    """


def detach_net(net: nn.Module) -> None:
    """Cut every state in `net` from the graph of the past (truncated BPTT)."""
    for module in net.modules():
        if isinstance(module, MemoryModule):
            module.detach()


def set_step_mode(net: nn.Module, step_mode: str) -> None:
    """Set the step mode of all modules in `net` that have one.

    Children of containers that own their children's step mode are left alone.

    Args:
        net: the network.
        step_mode: `'s'` (one step per call) or `'m'` (a whole sequence per call).

    Raises:
        ValueError: a module does not support the mode.
    """
    for module in _modules_that_follow(net):
        if isinstance(module, StepModule):
            module.step_mode = step_mode
        elif hasattr(module, "step_mode"):
            logger.warning("%s has a step_mode but is not a StepModule", type(module).__name__)
            module.step_mode = step_mode  # pyright: ignore[reportArgumentType]


def _modules_that_follow(module: nn.Module) -> Iterator[nn.Module]:
    yield module
    if isinstance(module, StepModule) and module.owns_children_step_mode:
        return
    for child in module.children():
        yield from _modules_that_follow(child)


def set_backend(
    net: nn.Module,
    backend: str,
    instance: type[nn.Module] | tuple[type[nn.Module], ...] = nn.Module,
    strict: bool = False,
) -> None:
    """Set the backend of all modules in `net` that are `instance` and have one.

    Modules that lack the backend keep theirs; one warning names them.

    Args:
        net: the network.
        backend: `'torch'`, `'cpp'`, `'cupy'`, or `'auto'`, which leaves modules without a choice
            alone.
        instance: only modules of these classes.
        strict: raise instead of warning.

    Raises:
        NotImplementedError: with `strict`, a module lacks the backend.
        ValueError: no backend has this name.
        ImportError: the library behind the backend is missing.
    """
    check_name(backend)
    kept: dict[str, str] = {}
    for module in net.modules():
        if not (isinstance(module, instance) and isinstance(module, MemoryModule)):
            continue
        try:
            module.backend = backend
        except NotImplementedError as error:
            kept[type(module).__name__] = str(error)
    if not kept or backend == AUTO:
        return
    why = "\n".join(f"  {name}: {reason}" for name, reason in sorted(kept.items()))
    message = f"backend {backend!r} was not set everywhere:\n{why}"
    if strict:
        raise NotImplementedError(message)
    warnings.warn(message, stacklevel=2)
