"""What a component takes: names, defaults and types of its arguments, and a check before the call.

`**kwargs` that a constructor hands to its base classes count as the arguments of those classes;
`**options: Unpack[Options]` counts as the keys of `Options`.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from .errors import ConfigTypeError, did_you_mean

__all__ = ["check_arguments", "explain_unexpected", "parameters"]

_ANY = inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)
_ANY_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_VARIADIC = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def parameters(component: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Arguments by name, without `self`; `**` is a key if others are taken too."""
    found: dict[str, inspect.Parameter] = {}
    for function in _constructors(component):
        known, hints = _signature(function), _hints(function)
        for name, parameter in known.items():
            if parameter.kind not in _VARIADIC and name != "self":
                annotation = hints.get(name, Any)
                found.setdefault(name, parameter.replace(annotation=annotation))
        rest = next((name for name, p in known.items() if p.kind is p.VAR_KEYWORD), None)
        options = typing.get_args(hints.get(rest)) if rest else ()
        for name, annotation in _hints(options[0]).items() if options else ():
            option = inspect.Parameter(name, _ANY_KEYWORD, default=None, annotation=annotation)
            found.setdefault(name, option)
        if rest is None or options:
            break
    else:
        if not inspect.isclass(component):
            found["**"] = _ANY
    if "surrogate_function" in found:  # neurons in configs take the shorter word
        found.setdefault("surrogate", found["surrogate_function"].replace(name="surrogate"))
    return found


def check_arguments(
    component: Callable[..., Any], arguments: Mapping[str, Any], *, title: str, path: str
) -> None:
    """Refuse arguments that `component` does not take, before it runs.

    Raises:
        ConfigTypeError: names the argument and the closest ones, or those that are missing.
    """
    try:
        signature = inspect.signature(component)
    except ValueError:  # some builtins have none
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        known = parameters(component)
        unknown = [name for name in arguments if name not in signature.parameters]
        if unknown:
            raise _unexpected(unknown[0], known, title, path) from error
        missing = [
            name
            for name, parameter in signature.parameters.items()
            if parameter.default is parameter.empty
            and parameter.kind not in _VARIADIC
            and name not in arguments
        ]
        text = f"{title} needs {', '.join(map(repr, missing))}" if missing else f"{title}: {error}"
        raise ConfigTypeError(text, path=path) from error


def explain_unexpected(
    component: Callable[..., Any],
    arguments: Mapping[str, Any],
    error: TypeError,
    *,
    title: str,
    path: str,
) -> ConfigTypeError | None:
    """The clearer error, if `error` is about an argument that went through `**kwargs` in vain."""
    match = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    known = parameters(component)
    if match is None or match[1] not in arguments or match[1] in known:
        return None
    return _unexpected(match[1], known, title, path)


def _unexpected(name: str, known: Mapping[str, Any], title: str, path: str) -> ConfigTypeError:
    hint = did_you_mean(str(name), known) or f"; it takes {', '.join(known) or 'none'}"
    return ConfigTypeError(f"{title} takes no argument {name!r}{hint}", path=path)


def _constructors(component: Callable[..., Any]) -> list[Callable[..., Any]]:
    if not inspect.isclass(component):
        return [component]
    own = [cls for cls in component.__mro__ if "__init__" in vars(cls)]
    return [vars(cls)["__init__"] for cls in own if cls not in (nn.Module, object)]


def _signature(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except ValueError:
        return {"kwargs": _ANY}


def _hints(owner: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(owner, include_extras=True)
    except (NameError, TypeError, AttributeError):  # names that only type checkers know
        return {}
