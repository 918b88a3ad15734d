"""Network to NIR graph."""

from __future__ import annotations

import copy
import math
import os
import warnings
from collections.abc import Mapping, Sequence

import nir
from torch import Tensor, fx, nn

from sj_neurons.functional import reset_net

from .convert import converted
from .errors import ExportError, NotSupportedError
from .files import write_graph
from .fold import fold_batch_norms
from .trace import record_shapes, step_mode_of, trace

__all__ = ["export_to_nir"]

Examples = Tensor | Sequence[Tensor] | Mapping[str, Tensor]


def export_to_nir(
    net: nn.Module,
    example_input: Examples,
    save_path: str | os.PathLike[str] | None = None,
    dt: float = 1e-4,
    *,
    strict: bool = True,
) -> nir.NIRGraph:
    """Turn a network into a NIR graph of what it computes in eval mode.

    Nodes have the names that torch.fx gives; shapes come from one run on a copy, so that `net`,
    its memories, statistics and random numbers stay as they are. The graph starts from the reset
    state. BatchNorm is merged into the layer before it, dropout is left out, and so are forward
    hooks, whatever they change. Recurrent containers become loops. A layer that is called twice
    becomes two nodes with the same weights, and one module again on import.

    Args:
        net: the network; `forward` returns a tensor, or several in a tuple, list or dict.
        example_input: `[N, *]`, or `[T, N, *]` for step mode `'m'`; for several inputs a tuple, or
            a dict by the names of the arguments of `forward`.
        save_path: file to write, HDF5 whatever its suffix.
        dt: seconds per step.
        strict: refuse what the graph would compute otherwise than the network. With `False`, where
            NIR has something close (zeros for another padding, the reset state for another start),
            that is written, with a `UserWarning` and the entry `lost` in the metadata of the node.

    Raises:
        NotSupportedError: modules or operations that NIR cannot express, all of them in one text.
        ExportError: torch.fx cannot follow the network, or it does not take the example input.
        ValueError, TypeError: `dt`, `net` or `example_input` is not what it should be.
        FileNotFoundError, PermissionError, IsADirectoryError: `save_path` cannot be written.
    """
    if isinstance(dt, bool) or not isinstance(dt, int | float):
        raise TypeError(f"dt must be a number of seconds, got {dt!r}")
    if not (dt > 0 and math.isfinite(dt)):
        raise ValueError(f"dt must be a positive number of seconds, got {dt}")
    if not isinstance(net, nn.Module):
        raise TypeError(f"net must be a torch.nn.Module, got {type(net).__name__}")
    lead = 2 if step_mode_of(net) == "m" else 1
    _check_examples(example_input, lead)
    traced = trace(_working_copy(net))
    record_shapes(traced, _in_order(example_input, traced))
    problems = fold_batch_norms(traced, lead)
    graph, losses = converted(traced, float(dt), lead, problems, strict)
    for loss in losses:
        warnings.warn(f"the graph differs from the network: {loss}", stacklevel=2)
    if save_path is not None:
        write_graph(save_path, graph)
    return graph


def _check_examples(examples: Examples, lead: int) -> None:
    axes = "[T, N, *]" if lead == 2 else "[N, *]"
    found = [examples] if isinstance(examples, Tensor) else examples
    if isinstance(found, Mapping):
        found = list(found.values())
    if not isinstance(found, Sequence) or isinstance(found, str):
        kind = type(examples).__name__
        raise TypeError(f"example_input must be a tensor {axes}, or several, got {kind}")
    for example in found:
        if not isinstance(example, Tensor):
            kind = type(example).__name__
            raise TypeError(f"example_input must be a tensor {axes}, or several, got {kind}")
        if example.dim() <= lead:
            raise ValueError(f"example_input must be {axes}, got shape {tuple(example.shape)}")
    leads = {tuple(example.shape[:lead]) for example in found}
    if len(leads) > 1:
        raise ValueError(f"example_input: the inputs differ in {axes[:-4]}]: {sorted(leads)}")


def _working_copy(net: nn.Module) -> nn.Module:
    """A copy in eval and reset state that shares the parameters."""
    shared = {id(parameter): parameter for parameter in net.parameters()}
    for module in net.modules():  # weights that pruning and weight_norm compute before each call
        for value in vars(module).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                shared[id(value)] = value.detach().clone()  # pyright: ignore[reportArgumentType]
    try:
        working = copy.deepcopy(net, shared).eval()
    except (RuntimeError, TypeError) as error:
        raise ExportError(f"{type(net).__name__} cannot be copied ({error})") from error
    for module in working.modules():
        module._forward_hooks.clear()  # monitors of the original must not see the example
    reset_net(working)
    return working


def _in_order(examples: Examples, traced: fx.GraphModule) -> tuple[Tensor, ...]:
    """The examples in the order of the arguments of `forward`."""
    places = traced.graph.find_nodes(op="placeholder")
    names = [str(node.target).lstrip("*") for node in places]
    if not places:
        raise NotSupportedError("forward takes no input")
    if isinstance(examples, Tensor):
        examples = (examples,)
    given = list(examples) if isinstance(examples, Mapping) else names[: len(examples)]
    optional = {node.target for node in places if node.args or not node.users}
    lacking = [name for name in names if name not in given and name not in optional]
    if lacking or len(given) != len(examples) or set(given) != set(names[: len(given)]):
        raise ValueError(
            f"example_input has {', '.join(given)} ({len(examples)} tensors); "
            f"forward takes {', '.join(names)}"
        )
    if isinstance(examples, Mapping):
        return tuple(examples[name] for name in names[: len(given)])
    return tuple(examples)
