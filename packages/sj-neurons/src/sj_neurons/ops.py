"""The closed vocabulary in which neuron steps and surrogates are written.

A step uses these functions and `+ - * / **` and comparisons, nothing else. On tensors they are the
torch functions of the same name. An argument that has a method `__sj_op__(name, args)` takes over
the whole call, which is how a step is traced on scalar symbols without being written twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

__all__ = [
    "abs",
    "atan",
    "clamp",
    "cos",
    "detach",
    "erf",
    "exp",
    "fire",
    "log",
    "maximum",
    "minimum",
    "pow",
    "round",
    "sigmoid",
    "sign",
    "sin",
    "tanh",
    "where",
]


def _dispatching(name: str, on_tensors: Callable[..., Any]) -> Callable[..., Any]:
    def op(*args: Any) -> Any:
        for arg in args:
            if hasattr(arg, "__sj_op__"):
                return arg.__sj_op__(name, args)
        return on_tensors(*args)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"`torch.{name}`, element by element; traceable."
    return op


exp = _dispatching("exp", torch.exp)
log = _dispatching("log", torch.log)
pow = _dispatching("pow", torch.pow)
sin = _dispatching("sin", torch.sin)
cos = _dispatching("cos", torch.cos)
tanh = _dispatching("tanh", torch.tanh)
sigmoid = _dispatching("sigmoid", torch.sigmoid)
atan = _dispatching("atan", torch.atan)
erf = _dispatching("erf", torch.erf)
abs = _dispatching("abs", torch.abs)
sign = _dispatching("sign", torch.sign)
round = _dispatching("round", torch.round)
clamp = _dispatching("clamp", torch.clamp)
minimum = _dispatching("minimum", torch.minimum)
maximum = _dispatching("maximum", torch.maximum)
where = _dispatching("where", torch.where)


def fire(u: Any, surrogate: Callable[[Any], Any]) -> Any:
    """Spike where `u >= 0`, with the derivative of `surrogate` in the backward pass."""
    if hasattr(u, "__sj_op__"):
        return u.__sj_op__("fire", (u, surrogate))
    return surrogate(u)


def detach(x: Any) -> Any:
    """`x` as a constant: no gradient flows back through it."""
    if hasattr(x, "__sj_op__"):
        return x.__sj_op__("detach", (x,))
    return x.detach()
