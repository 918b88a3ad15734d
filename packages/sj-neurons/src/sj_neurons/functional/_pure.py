"""Turn a neuron class into a pure function of one time step.

The function runs the methods of the class on a bare instance that holds its arguments as
attributes, so that no equation is written twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..base import MemoryModule

__all__ = ["pure_function"]

_ABOUT_THE_MODULE = ("step_mode", "backend", "store_v_seq")


def pure_function(
    name: str,
    node: MemoryModule,
    method: str = "step",
    *,
    inputs: Sequence[str] = (),
    hyper_parameters: Sequence[str] = (),
    without: Sequence[str] = (),
    note: str = "",
) -> Callable[..., Any]:
    """A method of a neuron class as a function of its inputs and hyper-parameters.

    A class without `step` runs its `single_step_forward`, with all its memories as states.

    Args:
        name: name of the function.
        node: any instance of the class; lends its default surrogate and what no argument sets.
        method: the method to run.
        inputs: names of the method's arguments; by default `x` and the states.
        hyper_parameters: the constructor arguments that the method reads; by default all that the
            class keeps. What the class learns comes before them and has no default.
        without: parameters of the class that do not matter here.
        note: a sentence more for the docstring.
    """
    cls = type(node)
    stateful = method == "step" and not hasattr(cls, "step")
    inputs = inputs or ("x", *dict(node.named_memories()))
    learned = dict(node.named_parameters(recurse=False)) if method == "step" else {}
    learned = [key for key in learned if key not in without]
    signature = _signature(node, inputs, learned, hyper_parameters, without)
    fixed = _fixed_attributes(node, signature)

    def function(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        values = dict(given.arguments)
        taken = [values.pop(key) for key in inputs]
        if values.get("surrogate_function", ...) is None:
            values["surrogate_function"] = node.surrogate_function
        # not the constructor: it is slow, and torch.compile cannot make parameters
        bare = cls.__new__(cls)
        bare.__dict__.update(fixed)
        bare.__dict__.update(values)
        if not stateful:
            return getattr(bare, method)(*taken)
        bare.__dict__["_memories"] = dict(zip(inputs[1:], taken[1:], strict=True))
        return (bare.single_step_forward(taken[0]), *bare.memories())

    # a code object of its own: torch.compile counts the recompilations of each
    function.__code__ = function.__code__.replace(co_name=name)
    function.__name__ = function.__qualname__ = name
    function.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess]
    function.__doc__ = _documentation(cls, method, inputs, learned) + note
    return function


def _signature(
    node: MemoryModule,
    inputs: Sequence[str],
    learned: Sequence[str],
    hyper_parameters: Sequence[str],
    without: Sequence[str],
) -> inspect.Signature:
    arguments = inspect.signature(type(node)).parameters
    skipped = {*_ABOUT_THE_MODULE, *inputs, *learned, *without}
    kept = hyper_parameters or [
        key for key in arguments if key not in skipped and hasattr(node, key)
    ]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    required = [inspect.Parameter(key, kind) for key in (*inputs, *learned)]
    others = [inspect.Parameter(key, kind, default=arguments[key].default) for key in kept]
    others.sort(key=lambda parameter: parameter.default is not inspect.Parameter.empty)
    return inspect.Signature([*required, *others])


def _fixed_attributes(node: MemoryModule, signature: inspect.Signature) -> Mapping[str, Any]:
    """What the methods read besides the arguments, such as what a subclass has set for good."""
    own = {key: value for key, value in vars(node).items() if not key.startswith("_")}
    own |= dict(node.named_buffers(recurse=False))
    own.pop("training", None)
    return {key: value for key, value in own.items() if key not in signature.parameters}


def _documentation(
    cls: type[MemoryModule], method: str, inputs: Sequence[str], learned: Sequence[str]
) -> str:
    given = ", ".join(inputs)
    if method != "step":
        return f"`{method}({given})` of :class:`{cls.__name__}` as a pure function.\n"
    returned = ", ".join(("output", *inputs[1:]))
    text = (
        f"One time step of :class:`{cls.__name__}`: `({given}) -> ({returned})`.\n\n"
        "`x` and the states are those of the class in step mode 's', `x` of shape `[N, *]`.\n"
    )
    if learned:
        text += (
            f"The learned parameters {', '.join(learned)} are tensors like those of the class.\n"
        )
    return text + (
        "All else means what it means there; a number may be a tensor that broadcasts to `x`, and "
        "a\nsurrogate function of `None` is the default of the class.\n"
    )
