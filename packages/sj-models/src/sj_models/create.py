"""Networks of the zoo by name."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from sj_neurons import functional
from sj_neurons.neuron import LIFNode

from .classifier import load_weights_of_twin
from .errors import did_you_mean
from .neurons import NeuronFactory, NeuronSpec, neuron_types
from .spike_firing import SpikeFiring
from .weights import Weights
from .zoo import ZOO, ModelRecord

__all__ = ["create_model", "describe_model", "list_models"]

_NEURON_NAMES = ("spiking_neuron", "neuron")  # what builders call the neuron
_NOT_IN_CONFIG = ("pretrained", "progress")  # about weights


def create_model(
    name: str,
    *,
    neuron: NeuronSpec | None = None,
    weights: Weights | None = None,
    strict: bool = True,
    step_mode: str | None = None,
    backend: str | None = None,
    **arguments: Any,
) -> nn.Module:
    """A network of the zoo.

    Args:
        name: as :func:`list_models` lists it; case does not matter.
        neuron: class, name or config `{"type": "LIF", "tau": 2.0, "surrogate": {"type": "ATan"}}`.
            Models that fix their neuron in their paper have a default, the others need one.
        weights: URL, file, state dict or torchvision's enum; see
            :func:`sj_models.weights.load_weights`. Layers that `num_classes`, `in_channels` and
            `small_images` change may differ.
        strict: refuse weights that lack keys or have others.
        step_mode: `'s'` or `'m'`; the model's own if `None`.
        backend: backend of the neurons; theirs if `None`.
        **arguments: arguments of the builder, then of the neuron.

    Returns:
        the network; its `config` makes it again by :func:`sj_models.build.build`, or here without
        the key `type`. Weights are no part of it.

    Raises:
        ValueError: an unknown name, neuron or argument value; names the closest ones.
        TypeError: an argument that neither the model nor the neuron has, or no neuron.

    Example:
        >>> import torch
        >>> net = create_model("sew_resnet18", neuron="IF", num_classes=10, small_images=True)
        >>> net(torch.rand(1, 3, 32, 32)).shape
        torch.Size([1, 10])
    """
    record = describe_model(name)
    builder = record.builder()
    parameters = inspect.signature(builder).parameters
    slot = next((slot for slot in _NEURON_NAMES if slot in parameters), "")
    if neuron is not None and slot in arguments:
        raise TypeError(f"{record.name}: give neuron or {slot}, not both")
    neuron = arguments.pop(slot, None) if neuron is None else neuron
    of_neuron = _arguments_of_neuron(record, neuron, arguments, parameters)
    config: dict[str, Any] = {"type": "create_model", "name": record.name}
    if neuron is not None:
        if not slot:
            raise TypeError(f"{record.name} has no neuron to choose")
        factory = NeuronFactory(record.name, neuron, of_neuron)
        config["neuron"] = factory.config()
        of_neuron = {slot: factory}
    chosen = arguments if neuron is not None else {**arguments, **of_neuron}
    config |= copy.deepcopy({k: v for k, v in chosen.items() if k not in _NOT_IN_CONFIG})
    config |= {k: v for k, v in (("step_mode", step_mode), ("backend", backend)) if v is not None}
    loads = "weights" in parameters
    options = {"weights": weights, "strict": strict} if loads else {}
    model = builder(**arguments, **of_neuron, **options)
    if weights is not None and not loads:
        load_weights_of_twin(model, weights, arguments, strict=strict)
    if step_mode is not None:
        functional.set_step_mode(model, step_mode)
    if backend is not None:
        functional.set_backend(model, backend, neuron_types())
    model.config = config  # pyright: ignore[reportArgumentType]
    return model


def list_models(pattern: str = "*") -> list[str]:
    """Names that match a pattern such as `"*resnet*"`, sorted; case does not matter."""
    return sorted(name for name in ZOO if fnmatchcase(name.lower(), pattern.lower()))


def describe_model(name: str) -> ModelRecord:
    """Family, size, input shape and published accuracy of a model.

    Raises:
        ValueError: an unknown name; names the closest ones.
    """
    name = str(name)
    by_key = {known.lower(): record for known, record in ZOO.items()}
    record = by_key.get(name.lower())
    if record is None:
        raise ValueError(
            f"there is no model {name!r}{did_you_mean(name, ZOO)} (list_models() lists all)"
        )
    return record


def _arguments_of_neuron(
    model: ModelRecord,
    neuron: NeuronSpec | None,
    arguments: dict[str, Any],
    parameters: Mapping[str, inspect.Parameter],
) -> dict[str, Any]:
    """Take out of `arguments` what the builder passes on to the neuron.

    Raises:
        TypeError: neither of them takes an argument; names the closest of both.
    """
    own = [name for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD]
    usual = SpikeFiring if model.family == "e_spikeformer" else LIFNode
    factory = NeuronFactory(model.name, usual if neuron is None else neuron)
    passes_on = len(own) < len(parameters)
    found = {name: arguments.pop(name) for name in list(arguments) if name not in own}
    for name in found:
        if not (passes_on and factory.takes(name)):
            known = {*own, *factory.__signature__.parameters}
            raise TypeError(f"{model.name}: unknown argument {name!r}{did_you_mean(name, known)}")
    return found
