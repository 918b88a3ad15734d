"""Components by name: backbones, necks, heads, losses, targets, tasks, encoders, all in `MODELS`.

    @MODELS.register_module                      a class or function of yours
    class MyNeck(nn.Module): ...

    MODELS.build({"type": "MyNeck", "dim": 2})   MyNeck(dim=2)

A name is looked up in this order: what was registered, our own components (imported when first
used), neurons, surrogates and layers of the packages below, then the entry points of installed
packages in the group `sj_models.components`. `package:Name` looks in that package only. Nothing is
ever imported because a config names its path.
"""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import logging
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, TypeVar, overload

from torch import nn

from .build_path import full_path, under_construction
from .builtin import BUILTIN
from .errors import ConfigKeyError, ConfigTypeError, did_you_mean
from .signatures import check_arguments, explain_unexpected, parameters

__all__ = ["MODELS", "Description", "Registry", "plain"]

_Component = TypeVar("_Component", bound=Callable[..., Any])

_LIBRARIES = ("sj_neurons.neuron", "sj_neurons.surrogate", "sj_layers", "sj_layers.encoding")


@dataclass(frozen=True)
class Description:
    """What is known about a component."""

    name: str
    module: str
    signature: str
    defaults: dict[str, Any]
    summary: str


class Registry:
    """Named components, built from configs.

    Args:
        name: what it holds, for error messages.
        builtin: name -> module, or module:attribute, imported when first used.
        libraries: modules whose public classes can be named too.
        entry_points: group of the entry points of other packages.

    Example:
        >>> from torch import nn
        >>> registry = Registry("parts")
        >>> _ = registry.register_module("Fc", module=nn.Linear)
        >>> registry.build({"type": "Fc", "in_features": 2, "out_features": 3})
        Linear(in_features=2, out_features=3, bias=True)
    """

    def __init__(
        self,
        name: str,
        *,
        builtin: Mapping[str, str] | None = None,
        libraries: Sequence[str] = (),
        entry_points: str | None = None,
    ) -> None:
        self.name = name
        self.module_dict: dict[str, Callable[..., Any]] = {}
        self._builtin = dict(builtin or {})
        self._libraries = tuple(libraries)
        self._group = entry_points
        self._imported_groups: set[str] = set()

    def __repr__(self) -> str:
        return f"Registry({self.name!r}, {len(self)} names)"

    def __len__(self) -> int:
        return len(self.names())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    @overload
    def register_module(self, name: _Component, /) -> _Component: ...
    @overload
    def register_module(
        self, name: str | Sequence[str] | None = None, force: bool = False
    ) -> Callable[[_Component], _Component]: ...
    @overload
    def register_module(
        self,
        name: str | Sequence[str] | None = None,
        force: bool = False,
        *,
        module: _Component,
    ) -> _Component: ...

    def register_module(
        self,
        name: Any = None,
        force: bool = False,
        module: Callable[..., Any] | None = None,
    ) -> Any:
        """Register a class or function; a decorator with or without parentheses, or a call.

        Args:
            name: one name or several; the name of the class if None.
            force: replace what has the name.
            module: what to register, when not used as a decorator.

        Raises:
            KeyError: something else has the name; says where both are defined.
            TypeError: a name, `force` or `module` of the wrong kind.
        """
        if not isinstance(force, bool):
            raise TypeError(f"{self.name}: force must be True or False, got {force!r}")
        if module is None and callable(name):
            return self._register(name, None, force)
        if module is not None:
            return self._register(module, name, force)
        _names(name, self.name)  # a bad name is reported at the decorator's line
        return lambda component: self._register(component, name, force)

    def _register(self, component: Any, name: Any, force: bool) -> Any:
        if not callable(component):
            raise TypeError(
                f"{self.name}: only classes and functions are components, got {component!r}"
            )
        names = _names(name, self.name) or [getattr(component, "__name__", "")]
        for key in names:
            if not key or ":" in key:
                raise TypeError(f"{self.name}: {key!r} is no name for {component!r}; give name=")
            known = self.module_dict.get(key)
            if known is not None and not force and not _same(known, component):
                raise ConfigKeyError(
                    f"{key!r} is registered already in {self.name!r}: {_site(known)}; "
                    f"the second one: {_site(component)}. Use another name, or force=True"
                )
            ours = self._builtin.get(key, "").partition(":")[0]
            if ours and known is None and component.__module__ != ours:
                logging.getLogger(__name__).warning("%s replaces that of %s", key, ours)
        self.module_dict.update(dict.fromkeys(names, component))
        return component

    def get(self, key: str) -> Callable[..., Any] | None:
        """The component of this name, or None."""
        if not isinstance(key, str):
            raise TypeError(f"{self.name}: a name is text, got {key!r}")
        package, _, name = key.rpartition(":")
        for source in (
            self._registered,
            self._from_builtin,
            self._from_libraries,
            self._from_others,
        ):
            found = source(name, package)
            if found is not None:
                return found
        return None

    def build(self, cfg: Mapping[str, Any], /, **defaults: Any) -> Any:
        """Call the component `cfg["type"]` (a name or a callable) with the other keys.

        The config is copied in depth and stays as it is. A module gets it as `module.config`.

        Args:
            cfg: plain data; parts of a model may be modules.
            **defaults: arguments for keys that are missing in `cfg`, `type` included.

        Raises:
            KeyError: no `type`, or an unknown one; names the closest.
            TypeError: no mapping, or arguments that the component does not take.
        """
        return self.build_at("", cfg, defaults)

    def build_at(
        self, path: str, cfg: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
    ) -> Any:
        """As :meth:`build`; `path` is the key of `cfg` in what is being built, for errors."""
        path = full_path(path, cfg)
        if not isinstance(cfg, Mapping):
            text = f"a part is a module or a mapping with the key 'type', got {cfg!r}"
            raise ConfigTypeError(text, path=path)
        arguments = plain({**(defaults or {}), **cfg})
        kind = arguments.pop("type", None)
        component = self._component(kind, arguments, path)
        title = kind if isinstance(kind, str) else getattr(kind, "__name__", repr(kind))
        config = self._described({"type": kind, **arguments})
        self._build_surrogate(component, arguments, path)
        check_arguments(component, arguments, title=title, path=path)
        with under_construction(path, arguments, title):
            try:
                built = component(**arguments)
            except TypeError as error:
                clearer = explain_unexpected(component, arguments, error, title=title, path=path)
                if clearer is None:
                    raise
                raise clearer from error
        if isinstance(built, nn.Module) and not hasattr(built, "config"):
            built.config = config  # pyright: ignore[reportArgumentType]
        return built

    def _build_surrogate(self, neuron: Any, arguments: dict[str, Any], path: str) -> None:
        """In configs of neurons a surrogate is a name, a class or a config."""
        given = [key for key in ("surrogate", "surrogate_function") if key in arguments]
        own = inspect.signature(neuron).parameters if given else ()
        if not given or "surrogate" in own or "surrogate" not in parameters(neuron):
            return
        if len(given) > 1:
            raise ConfigTypeError("give surrogate or surrogate_function, not both", path=path)
        surrogate = arguments.pop(given[0])
        if isinstance(surrogate, (str, Mapping, type)):
            cfg = surrogate if isinstance(surrogate, Mapping) else {"type": surrogate}
            with under_construction(path, {}, "surrogate"):
                surrogate = self.build_at("surrogate", cfg)
        arguments["surrogate_function"] = surrogate

    def names(self, pattern: str | None = None) -> list[str]:
        """All names, sorted, or those that match a shell pattern such as `*ResNet*`."""
        names = {*self.module_dict, *self._builtin}
        for module in self._libraries:
            names.update(_public_classes(module))
        names.update(entry.name for entry in self._entries("") if entry.attr)
        return sorted(name for name in names if fnmatch.fnmatchcase(name, pattern or "*"))

    def describe(self, name: str) -> Description:
        """Signature, defaults and first line of the documentation of a component.

        Raises:
            KeyError: an unknown name; names the closest.
        """
        component = self._component(name, {}, "")
        signature = inspect.signature(component)
        defaults = {
            p.name: p.default for p in signature.parameters.values() if p.default is not p.empty
        }
        summary = (inspect.getdoc(component) or "").partition("\n")[0]
        return Description(name, component.__module__, str(signature), defaults, summary)

    def _component(self, kind: Any, arguments: Mapping[str, Any], path: str) -> Callable[..., Any]:
        if kind is None:
            raise ConfigKeyError(
                f"the config has no 'type'; its keys are {', '.join(arguments) or 'none'}",
                path=path,
            )
        if "_scope_" in arguments:
            raise ConfigKeyError("there are no scopes; write type: 'package:Name'", path=path)
        if not isinstance(kind, str):
            if callable(kind):
                return kind
            raise ConfigTypeError(
                f"'type' is a name, a class or a function, got {kind!r}", path=path
            )
        found = self.get(kind)
        if found is None:
            hint = did_you_mean(kind.rpartition(":")[2], self.names())
            if "." in kind:
                hint = "; dotted paths are not imported: register the class, or pass it as type"
            raise ConfigKeyError(f"there is no {kind!r} in {self.name!r}{hint}", path=path)
        return found

    def _registered(self, name: str, package: str) -> Callable[..., Any] | None:
        found = self.module_dict.get(name)
        return found if found is not None and _is_from(found.__module__, package) else None

    def _from_builtin(self, name: str, package: str) -> Callable[..., Any] | None:
        module, _, attribute = self._builtin.get(name, "").partition(":")
        if not module or not _is_from(module, package):
            return None
        return getattr(importlib.import_module(module), attribute or name)

    def _from_libraries(self, name: str, package: str) -> Callable[..., Any] | None:
        classes = (_public_classes(m) for m in self._libraries if _is_from(m, package))
        return next((found[name] for found in classes if name in found), None)

    def _from_others(self, name: str, package: str) -> Callable[..., Any] | None:
        entries = self._entries(package)
        named = [entry for entry in entries if entry.attr and entry.name == name]
        if len(named) > 1:
            packages = " or ".join(repr(f"{e.module.partition('.')[0]}:{name}") for e in named)
            raise ConfigKeyError(f"several packages offer {name!r}; write {packages}")
        if named:
            return named[0].load()
        for entry in entries:  # modules that register what they hold
            if not entry.attr and entry.value not in self._imported_groups:
                self._imported_groups.add(entry.value)
                try:
                    entry.load()
                except Exception as error:  # a broken package must not hide the others
                    text = "%s, an entry point of %s, cannot be imported: %s"
                    logging.getLogger(__name__).warning(text, entry.value, self._group, error)
        return self._registered(name, package)

    def _entries(self, package: str) -> list[metadata.EntryPoint]:
        entries = metadata.entry_points(group=self._group) if self._group else []
        return [entry for entry in entries if _is_from(entry.module, package)]

    def _name_of(self, kind: Any) -> Any:
        if isinstance(kind, str):
            return kind
        names = [name for name, known in self.module_dict.items() if known is kind]
        names += [name for name in [getattr(kind, "__name__", "")] if self.get(name) is kind]
        return names[0] if names else kind

    def _described(self, value: Any) -> Any:
        """A config without objects: what has a config or a name gives way to it."""
        if isinstance(value, dict):
            return {
                key: self._name_of(item)
                if inspect.isclass(item) and self._may_be_name(key, value.get("type"))
                else self._described(item)
                for key, item in value.items()
            }
        if type(value) in (list, tuple):
            return type(value)(self._described(item) for item in value)
        if not isinstance(value, nn.Module):
            return value
        from .neurons import described  # not at the top: it imports every neuron

        config = getattr(value, "config", None)
        return plain(config) if isinstance(config, dict) else described(value)

    def _may_be_name(self, key: str, kind: Any) -> bool:
        if key in ("type", "surrogate"):
            return True
        component = self.get(kind) if isinstance(kind, str) else kind
        parameter = parameters(component).get(key) if callable(component) else None
        return str in typing.get_args(parameter and parameter.annotation)


def plain(value: Any) -> Any:
    """A deep copy of mappings, lists and tuples; other objects, modules say, are kept."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return tuple(plain(item) for item in value) if type(value) is tuple else value


def _names(name: Any, owner: str) -> list[str]:
    names = [] if name is None else [name] if isinstance(name, str) else name
    if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) for n in names):
        raise TypeError(f"{owner}: name must be text, a list of texts or None, got {name!r}")
    return list(names)


def _same(a: Callable[..., Any], b: Callable[..., Any]) -> bool:
    if a is b:
        return True
    marks = [(getattr(x, "__module__", None), getattr(x, "__qualname__", None)) for x in (a, b)]
    return marks[0] == marks[1] and None not in marks[0]


def _site(component: Callable[..., Any]) -> str:
    try:
        return f"{inspect.getsourcefile(component)}:{inspect.getsourcelines(component)[1]}"
    except (OSError, TypeError):
        return f"{component.__module__}.{getattr(component, '__qualname__', component)}"


def _is_from(module: str, package: str) -> bool:
    return not package or module.partition(".")[0] == package


def _public_classes(module: str) -> dict[str, type]:
    loaded = importlib.import_module(module)
    named = {name: getattr(loaded, name) for name in getattr(loaded, "__all__", ())}
    return {k: v for k, v in named.items() if inspect.isclass(v) and issubclass(v, nn.Module)}


MODELS = Registry(
    "models", builtin=BUILTIN, libraries=_LIBRARIES, entry_points="sj_models.components"
)
