"""Step modes and state: what every stateful module of the toolbox is built on.

    step mode 's'   one time step,   x      [N, *]
    step mode 'm'   many time steps, x_seq  [T, N, *], time first

A *memory* is a named piece of state (a membrane potential, a mask, ...) that lives between calls,
goes back to its reset value on `reset()`, and is neither a parameter nor a buffer: it never enters
`state_dict()`.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .backend import AUTO, BACKENDS, default_backend

__all__ = [
    "BACKENDS",
    "MemoryModule",
    "MultiStepModule",
    "SingleStepModule",
    "StepModule",
    "extract_memories",
    "load_memories",
    "memories",
    "named_memories",
    "to_functional_forward",
]

# The nets that torch.export is tracing in their functional form, where states are arguments.
_functional_calls: list[nn.Module] = []


def _is_exporting() -> bool:
    asked = getattr(torch.compiler, "is_exporting", None)  # torch 2.6 has no such question
    return asked is not None and asked()


class StepModule:
    """Mix-in that gives a module a checked `step_mode`."""

    # Containers that decide on their children's step mode themselves set this to True;
    # `functional.set_step_mode` then leaves the children alone.
    owns_children_step_mode: ClassVar[bool] = False

    _step_mode: str = "s"

    def supported_step_mode(self) -> tuple[str, ...]:
        """The step modes this module can run in."""
        return ("s", "m")

    @property
    def step_mode(self) -> str:
        """`'s'` for one step per call, `'m'` for a whole sequence per call.

        Raises:
            ValueError: on assignment of a mode that the module does not support.
        """
        return self._step_mode

    @step_mode.setter
    def step_mode(self, value: str) -> None:
        if value not in self.supported_step_mode():
            raise ValueError(
                f"{type(self).__name__}: step_mode can only be {self.supported_step_mode()}, "
                f'but got "{value}"!'
            )
        self._step_mode = value


class SingleStepModule(StepModule):
    """A module that can only be called step by step."""

    def supported_step_mode(self) -> tuple[str, ...]:
        return ("s",)


class MultiStepModule(StepModule):
    """A module that can only be called with whole sequences."""

    _step_mode = "m"

    def supported_step_mode(self) -> tuple[str, ...]:
        return ("m",)


class MemoryModule(nn.Module, StepModule):
    """A module with state between calls.

    Subclasses call :meth:`register_memory` in their constructor and define
    :meth:`single_step_forward`; many steps are a loop over it unless they know better.
    """

    def __init__(self) -> None:
        super().__init__()
        self._memories: dict[str, Any] = {}
        self._reset_values: dict[str, Any] = {}
        self._backend = "torch"

    # backends

    @property
    def supported_backends(self) -> tuple[str, ...]:
        """Names that `backend` accepts; where there is a choice, `'auto'` makes it."""
        return ("torch",)

    @property
    def backend(self) -> str:
        """Which implementation runs the time steps.

        Raises:
            NotImplementedError: on assignment of a backend this module does not have.
            ImportError: the library behind it is missing.
        """
        return self._backend

    @backend.setter
    def backend(self, value: str | None) -> None:
        self._backend = self.checked_backend(value)

    def checked_backend(self, name: str | None) -> str:
        """`name` if this class runs on it; None is the default backend, as far as there is one.

        Raises:
            NotImplementedError: the class does not have this backend; says why if it knows.
        """
        supported: tuple[str, ...] = self.supported_backends
        if AUTO not in supported and "torch" in supported and len(supported) > 1:
            supported = (*supported, AUTO)
        if name is None:
            return default_backend() if default_backend() in supported else next(iter(supported))
        if name not in supported:
            why = reason_for_torch_only(type(self)) if name in BACKENDS else ""
            raise NotImplementedError(
                f"{name} is not a supported backend of {type(self).__name__}! "
                f"Choose one of {supported}.{why and f' {why}'}"
            )
        return name

    # memories

    def register_memory(self, name: str, value: Any) -> None:
        """Add the memory `name`, now and after each reset equal to `value`.

        Raises:
            ValueError: the name is taken by another attribute.
        """
        if hasattr(self, name):
            raise ValueError(f"{name} has been set as a member variable of {type(self).__name__}!")
        self._memories[name] = value
        self._reset_values[name] = copy.deepcopy(value)

    def set_reset_value(self, name: str, value: Any) -> None:
        """Change what :meth:`reset` restores for the memory `name`; its present value stays."""
        self._require_memory(name)
        self._reset_values[name] = copy.deepcopy(value)

    def get_reset_value(self, name: str) -> Any:
        """What :meth:`reset` restores for the memory `name`."""
        self._require_memory(name)
        return self._reset_values[name]

    def _require_memory(self, name: str) -> None:
        if name not in self._memories:
            known = ", ".join(self._memories) or "none"
            raise KeyError(f"{type(self).__name__} has no memory {name!r}; it has: {known}")

    def named_memories(self) -> Iterator[tuple[str, Any]]:
        """Pairs of name and present value, of this module alone."""
        yield from self._memories.items()

    def memories(self) -> Iterator[Any]:
        """Present values, of this module alone."""
        yield from self._memories.values()

    def reset(self) -> None:
        """Set every memory to a fresh copy of its reset value."""
        for name, value in self._reset_values.items():
            self._memories[name] = copy.deepcopy(value)

    def detach(self) -> None:
        """Cut every tensor memory from the graph of the past (truncated BPTT)."""
        for name, value in self._memories.items():
            if isinstance(value, Tensor):
                self._memories[name] = value.detach()

    # forward

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self._memories and _is_exporting() and not _functional_calls:
            return self._exported_forward(*args, **kwargs)
        if self._step_mode == "s":
            return self.single_step_forward(*args, **kwargs)
        return self.multi_step_forward(*args, **kwargs)

    def single_step_forward(self, *args: Any, **kwargs: Any) -> Any:
        """One time step: inputs `[N, *]`."""
        raise NotImplementedError(f"{type(self).__name__} does not define single_step_forward")

    def multi_step_forward(self, *args: Any, **kwargs: Any) -> Any:
        """Many time steps: inputs `[T, N, *]`, outputs stacked along time."""
        # unbind, not indexing: the gradient of x[t] is a zero tensor of the size of x for each t
        steps = zip(*(arg.unbind(0) for arg in args), strict=True)
        outputs = [self.single_step_forward(*step, **kwargs) for step in steps]
        if not outputs:
            raise ValueError(f"{type(self).__name__}: the input has no time steps (T = 0)")
        if isinstance(outputs[0], tuple):
            return tuple(torch.stack(items) for items in zip(*outputs, strict=True))
        return torch.stack(outputs)

    def _exported_forward(self, *args: Any, **kwargs: Any) -> Any:
        """What `torch.export` records: a sequence from the reset state on, and no live state."""
        if self._step_mode == "s":
            raise RuntimeError(
                f"{type(self).__name__}: torch.export would freeze the state of a module in step "
                "mode 's'; export base.to_functional_forward(net), where states are inputs and "
                "outputs, or use step mode 'm'"
            )
        modules = [module for module in self.modules() if isinstance(module, MemoryModule)]
        at_rest = [copy.deepcopy(value) for m in modules for value in m._reset_values.values()]
        run = to_functional_forward(
            self, lambda *inputs: self.multi_step_forward(*inputs, **kwargs)
        )
        return run(args, at_rest)[0]

    # functional form

    def materialize_states(
        self, inputs: Sequence[Tensor], states: Sequence[Any], step_mode: str | None = None
    ) -> tuple[Any, ...]:
        """`states` with numbers expanded to tensors that fit `inputs`; here unchanged.

        Args:
            inputs: inputs of a call, `[N, *]` in step mode `'s'` and `[T, N, *]` in `'m'`.
            states: as many as there are memories.
            step_mode: the step mode that the inputs are meant for; the present one by default.
        """
        return tuple(states)

    def single_step_functional_forward(
        self, inputs: Sequence[Any], states: Sequence[Any]
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """One step as a pure function `(inputs, states) -> (outputs, new states)`."""
        return self._functional_call(self.single_step_forward, inputs, states)

    def multi_step_functional_forward(
        self, inputs: Sequence[Any], states: Sequence[Any]
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Many steps as a pure function `(inputs, states) -> (outputs, new states)`."""
        return self._functional_call(self.multi_step_forward, inputs, states)

    def functional_forward(
        self, inputs: Sequence[Any], states: Sequence[Any]
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The pure function of the present step mode."""
        return self._functional_call(self.forward, inputs, states)

    def _functional_call(
        self, call: Callable[..., Any], inputs: Sequence[Any], states: Sequence[Any]
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        call_with_states = to_functional_forward(self, lambda *args: call(*args))
        outputs, new_states = call_with_states(inputs, states)
        return (outputs if isinstance(outputs, tuple) else (outputs,)), tuple(new_states)

    # plumbing: memories behave like attributes, follow .to(), and are copied without their graph

    def __getattr__(self, name: str) -> Any:
        memories = self.__dict__.get("_memories")
        if memories is not None and name in memories:
            return memories[name]
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        memories = self.__dict__.get("_memories")
        if memories is not None and name in memories:
            memories[name] = value
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in self.__dict__.get("_memories", ()):
            del self._memories[name], self._reset_values[name]
        else:
            super().__delattr__(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.__dict__.get("_memories", ())]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> MemoryModule:
        for store in (self._memories, self._reset_values):
            for name, value in store.items():
                if isinstance(value, Tensor):
                    store[name] = fn(value)
        return super()._apply(fn, recurse)

    def _replicate_for_data_parallel(self) -> MemoryModule:
        replica = super()._replicate_for_data_parallel()
        replica._memories = self._memories.copy()
        return replica

    def __getstate__(self) -> dict[str, Any]:
        # deepcopy refuses tensors that hang in a graph, and a copy must not share the graph anyway
        state = {name: _off_graph(value) for name, value in self.__dict__.items()}
        state["_memories"] = {name: _off_graph(value) for name, value in self._memories.items()}
        return state

    def extra_repr(self) -> str:
        return f"step_mode={self.step_mode}, backend={self.backend}"


def reason_for_torch_only(cls: type) -> str:
    """The sentence in the docstring of a class that says why it has no fused backends."""
    paragraphs = (inspect.getdoc(cls) or "").split("\n\n")
    for paragraph in paragraphs:
        if paragraph.startswith("No scalar recurrence:"):
            return " ".join(paragraph.split())
    return ""


def _off_graph(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) and not value.is_leaf else value


def named_memories(net: nn.Module, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of all memories in `net`, in the order of `net.named_modules()`."""
    for path, module in net.named_modules(prefix=prefix):
        if isinstance(module, MemoryModule):
            for name, value in module.named_memories():
                yield (f"{path}.{name}" if path else name), value


def memories(net: nn.Module) -> Iterator[Any]:
    """Values of all memories in `net`, in the order of :func:`named_memories`."""
    for _, value in named_memories(net):
        yield value


def extract_memories(net: nn.Module) -> list[Any]:
    """All memories of `net` as a list, ready for :func:`load_memories`."""
    return list(memories(net))


def load_memories(net: nn.Module, values: Sequence[Any]) -> None:
    """Write back what :func:`extract_memories` returned.

    Raises:
        ValueError: the number of values is not the number of memories.
    """
    modules = [module for module in net.modules() if isinstance(module, MemoryModule)]
    slots = [(module, name) for module in modules for name, _ in module.named_memories()]
    if len(slots) != len(values):
        raise ValueError(f"the net has {len(slots)} memories, got {len(values)} values")
    for (module, name), value in zip(slots, values, strict=True):
        setattr(module, name, value)


def to_functional_forward(
    net: nn.Module, fn: Callable[..., Any] | None = None
) -> Callable[[Sequence[Any], Sequence[Any]], tuple[Any, list[Any]]]:
    """The net as a pure function `(inputs, states) -> (outputs, new_states)`.

    Args:
        net: any module; its own memories are as before after each call.
        fn: what to call with the inputs; the net itself by default.

    States are ordered as in :func:`extract_memories`.
    """
    call = net if fn is None else fn

    def functional_forward(inputs: Sequence[Any], states: Sequence[Any]) -> tuple[Any, list[Any]]:
        before = extract_memories(net)
        load_memories(net, states)
        exporting = _is_exporting()
        if exporting:
            _functional_calls.append(net)
        try:
            outputs = call(*inputs)
            return outputs, extract_memories(net)
        finally:
            load_memories(net, before)
            if exporting:
                _functional_calls.pop()

    return functional_forward
