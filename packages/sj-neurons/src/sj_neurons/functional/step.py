"""Neurons as pure functions of one time step, made from their classes.

    (x, v, ...) -> (spike, new v, ...)        all [N, *]

Every function here runs the methods of a neuron class, so that no equation is written twice. It
reads nothing but its arguments: it can be differentiated by `torch.func`, mapped by `vmap` and
compiled. Hyper-parameters have the names, order and defaults of the class; a number may also be a
tensor that broadcasts to `[N, *]`, for one value per channel or a gradient.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ..neuron import IFNode, LIFNode, ParametricLIFNode
from ..neuron.base import BaseNode

__all__ = ["if_step", "lif_charge", "lif_step", "plif_step", "voltage_reset"]

_ABOUT_THE_MODULE = ("self", "step_mode", "backend", "store_v_seq")


def pure_function(
    name: str,
    node: BaseNode,
    method: str = "step",
    inputs: Sequence[str] = (),
    hyper_parameters: Sequence[str] = (),
) -> Callable[..., Any]:
    """A method of a neuron class as a function of its inputs and hyper-parameters.

    Args:
        name: name of the function.
        node: any instance of the class; it lends its default surrogate.
        method: the method to run.
        inputs: names of the method's arguments; by default `x` and the states.
        hyper_parameters: the constructor arguments that the method reads; by default all that the
            class keeps. What the class learns comes before them and has no default.
    """
    cls = type(node)
    inputs = inputs or ("x", *cls.states)
    learned = list(dict(node.named_parameters(recurse=False))) if method == "step" else []
    arguments = inspect.signature(cls).parameters
    kept = hyper_parameters or [
        key for key in arguments if key not in _ABOUT_THE_MODULE and hasattr(node, key)
    ]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature(
        [inspect.Parameter(key, kind) for key in (*inputs, *learned)]
        + [inspect.Parameter(key, kind, default=arguments[key].default) for key in kept]
    )

    def function(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        values = dict(given.arguments)
        if values.get("surrogate_function", ...) is None:
            values["surrogate_function"] = node.surrogate_function
        # Only the attributes that the method reads: a whole module would cost a constructor, and
        # torch.compile cannot make parameters.
        bare = cls.__new__(cls)
        bare.__dict__.update(values)
        return getattr(bare, method)(*(values[key] for key in inputs))

    function.__name__ = function.__qualname__ = name
    function.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess]
    function.__doc__ = _documentation(cls, method, inputs, learned)
    return function


def _documentation(
    cls: type[BaseNode], method: str, inputs: Sequence[str], learned: Sequence[str]
) -> str:
    given = ", ".join(inputs)
    if method != "step":
        return f"`{method}({given})` of :class:`{cls.__name__}` as a pure function.\n"
    returned = ", ".join(("spike", *inputs[1:]))
    parameters = f" {', '.join(learned)}: the learned parameters, tensors." if learned else ""
    return (
        f"One time step of :class:`{cls.__name__}`: `({given}) -> ({returned})`.\n\n"
        f"Inputs and states are tensors `[N, *]`.{parameters} All else means what it means in the "
        "class;\na surrogate function of `None` is the default of the class.\n"
    )


if_step = pure_function("if_step", IFNode())
lif_step = pure_function("lif_step", LIFNode())
plif_step = pure_function("plif_step", ParametricLIFNode())
lif_charge = pure_function(
    "lif_charge", LIFNode(), "charge", hyper_parameters=("tau", "decay_input", "v_reset")
)
voltage_reset = pure_function(
    "voltage_reset",
    IFNode(),
    "voltage_reset",
    ("h", "spike"),
    ("v_threshold", "v_reset", "detach_reset"),
)
