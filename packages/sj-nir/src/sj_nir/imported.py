"""The network that import gives: an `fx.GraphModule` that takes and returns its state.

    out, state = net(x)          goes on from the state of the last call
    out, state = net(x, state)   goes on from `state`

`state` maps every node of the NIR graph to a dict of its memories, `None` for nodes without any,
and `NAME_prev_output` to what the node NAME of a loop put out at the step before.

Several inputs follow each other in the order of `net.input_names`, and several outputs come as a
tuple in the order of `net.output_names`. A dict of inputs by name gives a dict of outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from sj_neurons.base import MemoryModule

from .stepper import is_watched, sequence_call

__all__ = ["META", "Contents", "ImportedNet"]

META = "sj_nir"  # entry of `GraphModule.meta`, the one attribute that survives copying


@dataclass(frozen=True)
class Contents:
    """Where the parts of a NIR graph are in a network.

    Attributes:
        nodes: path of the module of each node, `None` for Inputs and Outputs.
        memories: path of the loop and name of its memory for each `NAME_prev_output`.
        inputs, outputs: names in the order of arguments and results.
    """

    nodes: dict[str, str | None]
    memories: dict[str, tuple[str, str]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class ImportedNet(fx.GraphModule):
    """A graph module whose state is held by its modules and cleared by `functional.reset_net`."""

    def __call__(self, *inputs: Any, state: Mapping[str, Any] | None = None) -> Any:
        names = self.input_names
        if len(inputs) == 2 and isinstance(inputs[0], Mapping):
            inputs, state = inputs[:1], inputs[1]
        elif len(inputs) == len(names) + 1 and state is None:
            inputs, state = inputs[:-1], inputs[-1]
        by_name = len(inputs) == 1 and isinstance(inputs[0], Mapping)
        values = _by_name(inputs[0], names) if by_name else inputs
        if len(values) != len(names):
            raise TypeError(
                f"expected {len(names)} inputs ({', '.join(names)}), or a dict of them, "
                f"and a state, got {len(values)} inputs"
            )
        if state is not None:
            self.load_states(state)
        replaced = "forward" in vars(self) or is_watched(self)
        if replaced or torch.is_grad_enabled() or torch.compiler.is_compiling():
            output, _ = super().__call__(*values, state)
        else:
            output, _ = type(self).forward(_Quick(self), *values, state)  # pyright: ignore[reportArgumentType]
        if by_name:
            outputs = output if len(self.output_names) > 1 else (output,)
            output = dict(zip(self.output_names, outputs, strict=True))
        return output, self.states()

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the Input nodes in the order of arguments."""
        return self.contents.inputs

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the Output nodes in the order of results."""
        return self.contents.outputs

    @property
    def contents(self) -> Contents:
        """Where the parts of the NIR graph are."""
        return self.meta[META]

    def states(self) -> dict[str, Any]:
        """The present memories, node by node."""
        found: dict[str, Any] = {
            name: None if module is None else dict(module.named_memories())
            for name, module in self._stateful().items()
        }
        for name, (path, memory) in self.contents.memories.items():
            found[name] = getattr(self.get_submodule(path), memory)
        return found

    def load_states(self, states: Mapping[str, Any]) -> None:
        """Set the memories of the nodes in `states`; `None` sets a node back to its start.

        Raises:
            TypeError: `states`, or the entry of a node with state, is not a mapping.
            ValueError: an unknown node or memory, or a state for a node that keeps none.
        """
        if not isinstance(states, Mapping):
            raise TypeError(
                f"state must be the dict that an earlier call returned, got {type(states).__name__}"
            )
        known = self._stateful()
        for name, values in states.items():
            if name in self.contents.memories:
                self._load_previous(name, values)
                continue
            if name not in known:
                raise ValueError(f"state: unknown node {name!r}; the nodes are {', '.join(known)}")
            module = known[name]
            if module is None:
                if values is not None:
                    raise ValueError(f"state: node {name!r} keeps no state, pass None for it")
            elif values is None:
                module.reset()
            else:
                _load(module, name, values)

    def _load_previous(self, name: str, value: Any) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"state: expected a tensor or None for {name!r}, got {value!r}")
        path, memory = self.contents.memories[name]
        setattr(self.get_submodule(path), memory, value)

    def _stateful(self) -> dict[str, MemoryModule | None]:
        modules = {
            name: None if path is None else self.get_submodule(path)
            for name, path in self.contents.nodes.items()
        }
        return {
            name: module if isinstance(module, MemoryModule) else None
            for name, module in modules.items()
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (*super().__reduce__(), self.meta)


class _Quick:
    """Stands for a network in its `forward`, with the quickest calls of its modules."""

    def __init__(self, net: ImportedNet) -> None:
        self._net = net

    def __getattr__(self, name: str) -> Any:
        return sequence_call(getattr(self._net, name))


def _by_name(inputs: Mapping[str, Any], names: tuple[str, ...]) -> list[Any]:
    if inputs.keys() != set(names):
        raise ValueError(f"expected the inputs {', '.join(names)}, got {', '.join(inputs)}")
    return [inputs[name] for name in names]


def _load(module: MemoryModule, name: str, values: Any) -> None:
    if not isinstance(values, Mapping):
        raise TypeError(f"state: expected a dict of memories for node {name!r}, got {values!r}")
    memories = dict(module.named_memories())
    if values.keys() != memories.keys():
        raise ValueError(
            f"state: node {name!r} has the memories {list(memories)}, got {list(values)}"
        )
    for memory, value in values.items():
        setattr(module, memory, value)


def _restored(
    rebuild: Callable[..., fx.GraphModule], arguments: tuple[Any, ...], meta: dict[str, Any]
) -> ImportedNet:
    plain = rebuild(*arguments)
    net = ImportedNet(plain, plain.graph)
    net.meta = meta  # torch.fx restores everything else
    net.train(plain.training)
    return net
