"""Neurons of a model, from a class, a name or a config.

    IFNode    "IF"    {"type": "LIF", "tau": 2.0, "surrogate": {"type": "ATan", "alpha": 2.0}}

Names are those of the classes in `sj_neurons.neuron`, in any case and with or without `Node`; PLIF
is short for ParametricLIFNode. Surrogates are named by the classes in `sj_neurons.surrogate`.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from torch import nn

from sj_neurons import neuron as neuron_classes
from sj_neurons import surrogate as surrogates

from .errors import did_you_mean

__all__ = [
    "NeuronFactory",
    "NeuronSpec",
    "described",
    "did_you_mean",
    "is_neuron",
    "neuron_class",
    "neuron_factory",
    "neuron_types",
    "surrogate_function",
]

NeuronSpec = Callable[..., nn.Module] | str | Mapping[str, Any]

_ALIASES = {"plif": "ParametricLIFNode", "glif": "GatedLIFNode", "clif": "ComplementaryLIFNode"}


class NeuronFactory:
    """Makes one neuron per call; no two of them share a surrogate.

    Args:
        model: class or name of the model, for error messages; of a class, arguments are suggested
            too.
        spiking_neuron: neuron class, its name, a config with the key `type`, or another factory.
        arguments: arguments of the class, copied for each neuron; those of a config come first.

    Raises:
        TypeError: no neuron, or one that does not take these arguments.
        ValueError: an unknown name.
    """

    def __init__(
        self,
        model: str | type,
        spiking_neuron: NeuronSpec | None,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        self.owner = model
        model = model if isinstance(model, str) else model.__name__
        made: Any = spiking_neuron
        own: dict[str, Any] = {}
        if isinstance(spiking_neuron, NeuronFactory):
            made, own = spiking_neuron.spiking_neuron, spiking_neuron.arguments
        elif isinstance(spiking_neuron, Mapping):
            own = dict(spiking_neuron)
            made = own.pop("type", None)
        if isinstance(made, str):
            made = neuron_class(made, owner=model)
        if made is None or not callable(made) or isinstance(made, nn.Module):
            raise TypeError(
                f"{model}: spiking_neuron must be a neuron class such as "
                f"sj_neurons.neuron.IFNode, its name, or a config with the key 'type', "
                f"got {spiking_neuron!r}"
            )
        self.model = model
        self.spiking_neuron: Callable[..., Any] = made
        self.arguments = _with_surrogate({**own, **(arguments or {})}, model)
        self.__signature__ = self._signature()

    def __call__(self) -> nn.Module:
        try:
            return self.spiking_neuron(**copy.deepcopy(self.arguments))
        except TypeError as error:
            missing = self._missing()
            text = f"{_title(self.spiking_neuron)} needs {', '.join(missing)}" if missing else error
            raise TypeError(f"{self.model}: {text}") from error

    def __repr__(self) -> str:
        pairs = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{type(self).__name__}({_title(self.spiking_neuron)}, {pairs})"

    def takes(self, name: str) -> bool:
        """Whether the neuron has an argument of this name."""
        return name in _parameters(self.spiking_neuron)

    def with_defaults(self, **values: Any) -> NeuronFactory:
        """A factory with these arguments too, where the neuron takes them and none was given."""
        new = {k: v for k, v in values.items() if self.takes(k) and k not in self.arguments}
        return NeuronFactory(self.owner, self, new)

    def with_arguments(self, **values: Any) -> NeuronFactory:
        """A factory with these arguments instead, where the neuron takes them."""
        new = {name: value for name, value in values.items() if self.takes(name)}
        return NeuronFactory(self.owner, self, new)

    def config(self) -> dict[str, Any]:
        """The config that makes the same neurons; a class from elsewhere stays a class."""
        cls = self.spiking_neuron
        known = _neurons().get(_title(cls).lower()) is cls
        arguments = {
            name: copy.deepcopy(described(value)) for name, value in self.arguments.items()
        }
        return {"type": _title(cls) if known else cls, **arguments}

    def _signature(self) -> inspect.Signature:
        """What the class takes, with the arguments given as defaults; refuses unknown ones."""
        known = _parameters(self.spiking_neuron)
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in known.values()):
            for name in self.arguments:
                if name not in known:
                    of_model = () if isinstance(self.owner, str) else _parameters(self.owner)
                    raise TypeError(
                        f"{self.model}: {_title(self.spiking_neuron)} takes no argument {name!r}"
                        f"{did_you_mean(name, {*known, *of_model})}"
                    )
        keyword = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature(
            [
                parameter.replace(kind=keyword, default=self.arguments.get(name, parameter.default))
                for name, parameter in known.items()
                if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, keyword)
            ]
        )

    def _missing(self) -> list[str]:
        parameters = self.__signature__.parameters
        return [name for name, p in parameters.items() if p.default is p.empty]


def neuron_factory(
    neuron: NeuronSpec | None, *, owner: str = "neuron", **arguments: Any
) -> NeuronFactory | None:
    """What makes the neurons of a network, or None for a network without.

    Args:
        neuron: None | class | name | config `{"type": ..., ...}` | factory.
        owner: who asks, for error messages.
        **arguments: more arguments of the neuron.

    Raises:
        TypeError: no neuron, or one that does not take these arguments.
        ValueError: an unknown name.

    Example:
        >>> make = neuron_factory({"type": "LIF", "tau": 4.0, "surrogate": "ATan"})
        >>> make().tau
        4.0
    """
    return None if neuron is None else NeuronFactory(owner, neuron, arguments)


def neuron_class(name: str, *, owner: str = "neuron") -> Callable[..., nn.Module]:
    """The neuron class of this name; ignores case and a missing `Node`.

    Raises:
        ValueError: there is none; names the closest ones.
    """
    key = name.lower()
    classes = _neurons()
    for candidate in (key, f"{key}node", _ALIASES.get(key, "").lower()):
        if candidate in classes:
            return classes[candidate]
    names = [*(cls.__name__ for cls in classes.values()), "IF", "LIF", "PLIF"]
    raise ValueError(f"{owner}: there is no neuron {name!r}{did_you_mean(name, names)}")


def surrogate_function(spec: Any, *, owner: str = "neuron") -> Any:
    """A surrogate from its name, a config `{"type": ..., ...}` or a class; others are returned.

    Raises:
        ValueError: an unknown name; names the closest ones.
        TypeError: arguments that the surrogate does not take.
    """
    if isinstance(spec, Mapping):
        arguments = dict(spec)
        spec = arguments.pop("type", None)
        if spec is None:
            raise TypeError(f"{owner}: the surrogate's config has no key 'type'")
    elif isinstance(spec, str) or inspect.isclass(spec):
        arguments = {}
    else:
        return spec
    if isinstance(spec, str):
        classes = _surrogates()
        if spec.lower() not in classes:
            names = [cls.__name__ for cls in classes.values()]
            raise ValueError(f"{owner}: there is no surrogate {spec!r}{did_you_mean(spec, names)}")
        spec = classes[spec.lower()]
    try:
        return spec(**arguments)
    except TypeError as error:
        raise TypeError(f"{owner}: {error}") from error


def is_neuron(module: object) -> bool:
    """Whether `module` is one of the neurons of `sj_neurons.neuron`, or made after their base."""
    return isinstance(module, neuron_types())


def neuron_types() -> tuple[type[nn.Module], ...]:
    """All classes of `sj_neurons.neuron`; every neuron is an instance of one of them."""
    return tuple(_neurons().values())


@cache
def _neurons() -> dict[str, type[nn.Module]]:
    found = (getattr(neuron_classes, name) for name in neuron_classes.__all__)
    return {
        cls.__name__.lower(): cls
        for cls in found
        if inspect.isclass(cls) and issubclass(cls, nn.Module)
    }


@cache
def _surrogates() -> dict[str, type[nn.Module]]:
    found = (getattr(surrogates, name) for name in surrogates.__all__)
    return {
        cls.__name__.lower(): cls
        for cls in found
        if inspect.isclass(cls)
        and issubclass(cls, surrogates.SurrogateFunction)
        and cls is not surrogates.SurrogateFunction
    }


def _parameters(neuron: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(neuron).parameters
    except ValueError:  # some builtins have none
        return {"kwargs": inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)}


def _title(neuron: Callable[..., Any]) -> str:
    return getattr(neuron, "__name__", repr(neuron))


def described(value: Any) -> Any:
    """A surrogate of ours as the config that makes it; anything else as it is."""
    if not isinstance(value, surrogates.SurrogateFunction):
        return value
    cls = type(value)
    if _surrogates().get(cls.__name__.lower()) is not cls:
        return value
    taken = _parameters(cls)
    settings = (*value.parameter_names, "spiking")
    return {"type": cls.__name__} | {
        name: getattr(value, name) for name in settings if name in taken
    }


def _with_surrogate(arguments: dict[str, Any], owner: str) -> dict[str, Any]:
    if "surrogate" in arguments:
        if "surrogate_function" in arguments:
            raise TypeError(f"{owner}: give surrogate or surrogate_function, not both")
        arguments["surrogate_function"] = arguments.pop("surrogate")
    if "surrogate_function" in arguments:
        given = arguments["surrogate_function"]
        arguments["surrogate_function"] = surrogate_function(given, owner=owner)
    return arguments
