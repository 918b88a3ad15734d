"""Surrogate functions in metadata: NIR knows none, but training after import needs the same one.

    {name: 'ATan', alpha: 2.0}      a class of `sj_neurons.surrogate` and its parameters

Sigmoid(alpha=4) is what import gives by default and is not written; functions from elsewhere are
not either, since their gradient is all that is lost.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import torch

from sj_neurons import surrogate
from sj_neurons.surrogate import Sigmoid, SurrogateFunction

from ..errors import NIRGraphError
from ..metadata import KEY, record_of
from .table import Site

__all__ = ["check_step_function", "surrogate_in", "surrogate_record"]

ENTRY = "surrogate"
_PROBE = (-2.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 2.0)
_BY_NAME: dict[str, type[SurrogateFunction]] = {
    kind.__name__: kind
    for kind in vars(surrogate).values()
    if isinstance(kind, type) and issubclass(kind, SurrogateFunction) and kind.parameter_names
}


def check_step_function(function: Any, site: Site) -> None:
    """Check that `function` puts out 1 from 0 on and 0 below; if not, `site` loses it."""
    if not getattr(function, "spiking", True):
        site.lose(
            "its surrogate_function has spiking=False, so it puts out no spikes; "
            "call surrogate_function.set_spiking_mode(True)"
        )
        return
    probe = torch.tensor(_PROBE)
    with torch.no_grad(), torch.random.fork_rng([]):
        spikes = function(probe)
    emits_other = getattr(function, "spike", None) is not None  # may be drawn at random
    if emits_other or not torch.equal(spikes, (probe >= 0).to(spikes)):
        site.lose(
            f"its surrogate_function {type(function).__name__} puts out other values than the "
            "spikes 0 and 1"
        )


def surrogate_record(function: Any) -> dict[str, Any]:
    """What to add to the metadata of a node for `function`; nothing for the default."""
    name = type(function).__name__
    if _BY_NAME.get(name) is not type(function):
        return {}
    values = dict(zip(function.parameter_names, function.parameter_values, strict=True))
    if name == "Sigmoid" and values == {"alpha": Sigmoid().alpha}:
        return {}
    return {ENTRY: {"name": name, **values}}


def surrogate_in(node: nir.NIRNode, name: str) -> SurrogateFunction:
    """The function that the metadata name, by default `Sigmoid()`.

    Raises:
        NIRGraphError: there is no such class, or it does not take these parameters.
    """
    entry = record_of(node).get(ENTRY)
    if entry is None:
        return Sigmoid()
    try:
        values = {key: _plain(value) for key, value in entry.items() if key != "name"}
        return _BY_NAME[entry["name"]](**values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NIRGraphError(
            f"expected the name of a class in sj_neurons.surrogate and its parameters, "
            f"got {entry!r} ({error})",
            node=name,
            field=f"metadata/{KEY}/{ENTRY}",
        ) from None


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic | np.ndarray) else value
