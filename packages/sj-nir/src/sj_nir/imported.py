"""The network that import gives: an `fx.GraphModule` that takes and returns its state.

    out, state = net(x)          goes on from the state of the last call
    out, state = net(x, state)   goes on from `state`

`state` maps every node of the NIR graph to a dict of its memories, `None` for nodes without any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import fx

from sj_neurons.base import MemoryModule

__all__ = ["ImportedNet"]

META = "sj_nir"  # entry of `GraphModule.meta`, the one attribute that survives copying


class ImportedNet(fx.GraphModule):
    """A graph module whose state is held by its modules and cleared by `functional.reset_net`."""

    def __call__(self, input: Any, state: Mapping[str, Any] | None = None) -> Any:
        if state is not None:
            self.load_states(state)
        output, _ = super().__call__(input, state)
        return output, self.states()

    def states(self) -> dict[str, dict[str, Any] | None]:
        """The present memories, node by node."""
        return {
            name: None if module is None else dict(module.named_memories())
            for name, module in self._stateful().items()
        }

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

    def _stateful(self) -> dict[str, MemoryModule | None]:
        attributes: dict[str, str | None] = self.meta[META]
        modules = {
            name: None if attribute is None else self.get_submodule(attribute)
            for name, attribute in attributes.items()
        }
        return {
            name: module if isinstance(module, MemoryModule) else None
            for name, module in modules.items()
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (*super().__reduce__(), self.meta)


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
