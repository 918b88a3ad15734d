"""What containers demand of the modules in them."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from sj_neurons.base import MemoryModule, StepModule

__all__ = ["require_single_step", "require_stateless"]


def require_single_step(owner: str, module: nn.Module) -> None:
    """Refuse a child that would take a sequence where it is given a step.

    Raises:
        ValueError: the child, or a module in it, is in step mode `'m'`.
    """
    for inner in _modules_of_one_step(module):
        if isinstance(inner, StepModule) and inner.step_mode != "s":
            raise ValueError(
                f"{owner}: {type(inner).__name__} must be in step mode 's' inside this container"
            )


def _modules_of_one_step(module: nn.Module) -> Iterator[nn.Module]:
    yield module
    if isinstance(module, StepModule) and module.owns_children_step_mode:
        return
    for child in module.children():
        yield from _modules_of_one_step(child)


def require_stateless(owner: str, module: nn.Module) -> None:
    """Refuse a child for which the steps of a sequence are not alike.

    Raises:
        ValueError: the child, or a module in it, keeps state.
    """
    for inner in module.modules():
        if isinstance(inner, MemoryModule):
            raise ValueError(
                f"{owner}: {type(inner).__name__} keeps state between steps; place it outside"
            )
