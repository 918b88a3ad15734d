"""Which modules of a net follow each other, found by following its `forward`."""

from __future__ import annotations

from typing import Any

from torch import fx, nn
from torch.fx.proxy import TraceError

from ..base import StepModule

__all__ = ["module_pairs"]

Kinds = type[nn.Module] | tuple[type[nn.Module], ...]


class _LayerTracer(fx.Tracer):
    """Follows containers and the user's own modules; everything else is one call."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if isinstance(m, StepModule):
            return not isinstance(m, nn.Sequential)
        return super().is_leaf_module(m, module_qualified_name)


def module_pairs(net: nn.Module, first: Kinds, second: Kinds) -> list[tuple[str, str]]:
    """Paths (a, b) of modules of these kinds where b alone reads the output of a.

    Only modules that are called once per forward pass are paired.

    Args:
        net: a network whose `forward` `torch.fx` can follow.
        first: type of a, or a tuple of types.
        second: type of b, or a tuple of types.

    Raises:
        ValueError: `torch.fx` cannot follow the net.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
        >>> module_pairs(net, nn.Conv2d, nn.BatchNorm2d)
        [('0', '1')]
    """
    try:
        graph = _LayerTracer().trace(net)
    except TraceError as error:
        raise ValueError(
            f"torch.fx cannot follow forward of {type(net).__name__}: {error}"
        ) from error
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    pairs = []
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(net.get_submodule(node.target), second):
            continue
        source: Any = node.args[0]
        if (
            source.op == "call_module"
            and len(source.users) == 1
            and isinstance(net.get_submodule(source.target), first)
            and calls.count(source.target) == calls.count(node.target) == 1
        ):
            pairs.append((source.target, node.target))
    return pairs
