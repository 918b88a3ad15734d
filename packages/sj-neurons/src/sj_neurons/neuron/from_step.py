"""A neuron class made from a step function.

    (x[t], v[t-1], ...) -> (spike[t], v[t], ...)

The function is all there is to write: the class around it keeps the state, runs single steps and
whole sequences, and is copied, saved and shown like every other neuron.
"""

from __future__ import annotations

import copy
import copyreg
import inspect
import keyword
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor, nn

from .._arguments import checked_number
from .base import BaseNode

__all__ = ["from_step"]

_Step = Callable[..., tuple[Any, ...]]


class StepNode(BaseNode):
    """What the classes made by :func:`from_step` share.

    Args:
        step_mode, backend, store_v_seq: see :class:`BaseNode`; `v_seq` holds the first state.
        **params: values that replace those given to :func:`from_step`, by name.
    """

    step_function: ClassVar[_Step]
    param_values: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def __init__(
        self,
        step_mode: str = "s",
        backend: str | None = None,
        store_v_seq: bool = False,
        **params: Any,
    ) -> None:
        # v_reset=None leaves the initial states alone
        super().__init__(
            v_reset=None, step_mode=step_mode, backend=backend, store_v_seq=store_v_seq
        )
        owner = type(self).__name__
        for name in params:
            if name not in self.param_values:
                known = ", ".join(self.param_values) or "none"
                raise TypeError(f"{owner} has no parameter {name!r}; it has: {known}")
        # what the frame of a threshold neuron has, and a step function need not have
        for name in ("v_threshold", "v_reset", "detach_reset", "surrogate_function"):
            delattr(self, name)
        for name, value in {**self.param_values, **params}.items():
            _set_param(self, name, value)

    def step(self, x: Any, *states: Any, **named: Any) -> tuple[Any, ...]:
        params = {name: getattr(self, name) for name in self.param_values}
        result = type(self).step_function(x, *states, **named, **params)
        if not isinstance(result, tuple) or len(result) != 1 + len(self.states):
            raise ValueError(
                f"{type(self).__name__}: the step must return a tuple (spike, "
                f"{', '.join(self.states)}), got {_described(result)}"
            )
        return result

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> StepNode:
        super()._apply(fn, recurse)
        return self

    def extra_repr(self) -> str:
        shown = {name: getattr(self, name) for name in self.param_values}
        pairs = [f"{k}={v}" for k, v in shown.items() if not isinstance(v, Tensor | nn.Module)]
        return ", ".join((*pairs, f"step_mode={self.step_mode}", f"backend={self.backend}"))

    def __deepcopy__(self, memo: dict[int, Any]) -> StepNode:
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return twin

    def __reduce__(self) -> Any:
        cls = type(self)
        found = getattr(sys.modules.get(cls.__module__), cls.__qualname__, None)
        if found is cls or "step_function" not in cls.__dict__:
            return copyreg.__newobj__, (cls,), self.__getstate__()  # pyright: ignore[reportAttributeAccessIssue]
        origin = (cls.step_function, dict(cls.states), dict(cls.param_values), cls.__name__)
        return _restored, origin, self.__getstate__()


def from_step(
    step: _Step,
    *,
    states: Mapping[str, float],
    params: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> type[StepNode]:
    """Make a neuron class from a pure step function.

    Args:
        step: `step(x, *states, **params) -> (spike, *new_states)`, all `[N, *]`. It must not
            change its arguments. Written with arithmetic, comparisons and :mod:`sj_neurons.ops`
            it can be traced.
        states: names and initial values of the states, in the order of the arguments; the first
            is what `v_seq` records.
        params: names and values of the further arguments of `step`. A number becomes an
            attribute, an `nn.Parameter` is learnable, a tensor becomes a buffer and a module, such
            as a surrogate, a submodule. Every instance has copies of its own, and its constructor
            takes other values by the same names.
        name: name of the class; that of the function if `None`. Bind the class to this name in
            the module of `step`, or keep `step` itself at module level, and instances can be
            pickled.

    Returns:
        A subclass of :class:`BaseNode` with the constructor
        `(step_mode="s", backend=None, store_v_seq=False, **params)`.

    Raises:
        TypeError: `step` does not take these states and params, or a value is of the wrong kind.
        ValueError: a name that cannot be an attribute, or is taken, or no state at all.

    Example:
        >>> import torch
        >>> from sj_neurons import ops, surrogate
        >>> fire = surrogate.ATan()
        >>> def adaptive(x, v, threshold, tau, jump):
        ...     h = v + (x - v) / tau
        ...     s = ops.fire(h - threshold, fire)
        ...     return s, (1.0 - s) * h, threshold + jump * s
        >>> Adaptive = from_step(
        ...     adaptive,
        ...     states={"v": 0.0, "threshold": 1.0},
        ...     params={"tau": 2.0, "jump": torch.nn.Parameter(torch.tensor(0.5))},
        ...     name="Adaptive",
        ... )
        >>> Adaptive(step_mode="m")(torch.full((4, 1), 2.0)).flatten().tolist()   # T=4, N=1
        [1.0, 0.0, 1.0, 0.0]
    """
    if not callable(step):
        raise TypeError(f"from_step: step must be a function, got {step!r}")
    title = getattr(step, "__name__", type(step).__name__) if name is None else name
    if not _is_name(title):
        raise ValueError(f"from_step: {title!r} cannot name a class; pass name=")
    params = dict(params or {})
    initial = {key: checked_number(title, f"state {key}", value) for key, value in states.items()}
    if not initial:
        raise ValueError(f"{title}: a neuron needs at least one state, such as states={{'v': 0.0}}")
    _check_names(title, (*initial, *params))
    _check_call(title, step, initial, params)
    for key, value in params.items():
        _check_param(title, key, value)
    members = {
        "__module__": getattr(step, "__module__", __name__),
        "__qualname__": title,
        "__doc__": inspect.getdoc(step),
        "step_function": staticmethod(step),
        "states": initial,
        "param_values": MappingProxyType(params),
    }
    return type(title, (StepNode,), members)


def _restored(step: _Step, states: dict[str, float], params: dict[str, Any], name: str) -> StepNode:
    """An empty instance of the class that `from_step` makes; pickle fills it."""
    cls = from_step(step, states=states, params=params, name=name)
    return cls.__new__(cls)


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and text.isidentifier() and not keyword.iskeyword(text)


def _check_names(owner: str, names: tuple[str, ...]) -> None:
    taken = set(dir(StepNode)) | {"v_seq", "store_v_seq", "training"}
    for name in names:
        if not _is_name(name) or name.startswith("_") or name in taken:
            raise ValueError(f"{owner}: {name!r} cannot name a state or parameter; choose another")
        if names.count(name) > 1:
            raise ValueError(f"{owner}: {name!r} names a state and a parameter")


def _check_call(owner: str, step: _Step, states: Mapping[str, Any], params: Any) -> None:
    try:
        signature = inspect.signature(step)
    except ValueError:  # some builtins have none
        return
    try:
        signature.bind(None, *states, **params)
    except TypeError as error:
        wanted = ", ".join(("x", *states, *(f"{key}=" for key in params)))
        raise TypeError(f"{owner}: the step must take ({wanted}): {error}") from None


def _check_param(owner: str, name: str, value: Any) -> None:
    if value is not None and not isinstance(value, bool | int | float | Tensor | nn.Module):
        raise TypeError(
            f"{owner}: parameter {name} must be a number, a tensor, an nn.Parameter or a module, "
            f"got {value!r}"
        )


def _set_param(node: StepNode, name: str, value: Any) -> None:
    """Gives `node` its own copy of the parameter `value`."""
    _check_param(type(node).__name__, name, value)
    if isinstance(value, nn.Parameter):
        node.register_parameter(name, nn.Parameter(value.detach().clone(), value.requires_grad))
    elif isinstance(value, Tensor):
        node.register_buffer(name, value.detach().clone())
    else:
        setattr(node, name, copy.deepcopy(value))


def _described(result: Any) -> str:
    if isinstance(result, tuple):
        return f"a tuple of {len(result)}"
    return f"a {type(result).__name__}"
