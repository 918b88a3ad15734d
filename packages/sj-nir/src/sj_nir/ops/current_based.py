"""Leaky neurons driven by a leaky current; dt in seconds.

    CubaLI    i <- i + (dt / tau_syn) (-i + w_in x)
              v <- v + (dt / tau_mem) ((v_leak - v) + r i)     with the new i; output v
    CubaLIF   the same, then z = [v > v_threshold];  v <- v_reset where z

CUBALIFNode has c_decay = 1 - dt / tau_syn, v_decay = 1 - dt / tau_mem, w_in = tau_syn / dt,
r = tau_mem / dt and v_leak = 0. See `spiking` for the start and the soft reset, `firing` for
equality.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from sj_neurons.neuron import CUBALIFNode

from ..errors import NotSupportedError
from ..fields import common_value
from ..metadata import KEY, flag_in
from ..modules import CubaLI, CubaLIF
from .originals import keep_originals, with_originals
from .spiking import (
    exact_number,
    finished,
    firing_arguments,
    firing_fields,
    hard_or_soft,
    neuron_shape,
    per_neuron,
    same,
    seconds,
    spread,
    start_record,
    steps_of,
    tell_soft_reset,
    tensor,
)
from .surrogate import surrogate_in
from .table import ImportOptions, Op, Shape, Site, register_op

__all__: list[str] = []

Fields = dict[str, np.ndarray]


# with spikes


def _cubalif_fields(module: Any, site: Site) -> tuple[Fields, dict[str, Any]]:
    fields, record = firing_fields(module, site)
    if isinstance(module, CubaLIF):
        return {**_current_fields(module, site), **fields}, {**record, "per_neuron": True}
    _check_start_of_current(module, "c", site)
    decays = {"tau_syn": module.c_decay, "tau_mem": module.v_decay}
    for what, decay in decays.items():
        if not 0.0 <= decay < 1.0:
            raise NotSupportedError(
                f"a decay factor of {decay} has no {what}; c_decay and v_decay must be in [0, 1)"
            )
    steps = {what: np.full(site.output_shape, _steps(decay)) for what, decay in decays.items()}
    current = {
        **{what: values * site.dt for what, values in steps.items()},
        "r": steps["tau_mem"],
        "v_leak": np.zeros(site.output_shape),
        "w_in": steps["tau_syn"],
    }
    exact = {"c_decay": module.c_decay, "v_decay": module.v_decay}
    return {**current, **fields}, {**record, **exact}


def _steps(decay: float) -> float:
    return 1.0 / (1.0 - decay)


def _check_start_of_current(module: Any, current: str, site: Site) -> None:
    start = module.get_reset_value(current)
    if not isinstance(start, int | float) or start != 0.0:
        site.lose(f"its current {current} starts from {start}; NIR starts it at 0")


def _current_fields(module: CubaLI | CubaLIF, site: Site) -> Fields:
    shape = site.output_shape
    _check_start_of_current(module, "i", site)
    return {
        "tau_syn": seconds(module.tau_syn, "tau_syn", site),
        "tau_mem": seconds(module.tau_mem, "tau_mem", site),
        "r": spread(module.r, shape, "r"),
        "v_leak": spread(module.v_leak, shape, "v_leak"),
        "w_in": spread(module.w_in, shape, "w_in"),
    }


def _cubalif_to_node(module: Any, site: Site) -> nir.CubaLIF:
    fields, record = _cubalif_fields(module, site)
    tell_soft_reset(record, site)
    return nir.CubaLIF(**with_originals(module, fields), metadata={KEY: record})


def _cubalif_to_module(
    node: nir.CubaLIF, name: str, options: ImportOptions
) -> CUBALIFNode | CubaLIF:
    plain = _plain_arguments(node, name, options)
    if plain is not None:
        module = CUBALIFNode(**plain)
    else:
        module = CubaLIF(
            **_current_arguments(node, name, options),
            v_threshold=tensor(per_neuron(node, name, "v_threshold"), options),
            v_reset=tensor(per_neuron(node, name, "v_reset"), options),
            soft_reset=hard_or_soft(node, name, options) == "soft",
            detach_reset=flag_in(node, name, "detach_reset"),
            surrogate_function=surrogate_in(node, name),
            step_mode=options.step_mode,
        )
    module = finished(module, node, name, options)
    keep_originals(module, node, _cubalif_fields(module, _site(node, options))[0])
    return module


def _plain_arguments(node: nir.CubaLIF, name: str, options: ImportOptions) -> dict[str, Any] | None:
    """The arguments of the CUBALIFNode that computes the same, `None` if there is none."""
    decays: dict[str, float] = {}
    for entry, field, gain in (("c_decay", "tau_syn", "w_in"), ("v_decay", "tau_mem", "r")):
        steps = steps_of(node, name, field, options.dt)
        one = common_value(steps)
        if one is None or not same(per_neuron(node, name, gain), one):
            return None
        exact = _exact_decay(node, name, entry, field, options.dt)
        decays[entry] = max(0.0, 1.0 - 1.0 / one) if exact is None else exact
    arguments = firing_arguments(node, name, options)
    if arguments is None or per_neuron(node, name, "v_leak").any():
        return None
    return {**decays, **arguments}


def _exact_decay(node: nir.CubaLIF, name: str, entry: str, field: str, dt: float) -> float | None:
    return exact_number(node, name, entry, dt, lambda decay: _steps(decay) * dt, field)


# without


def _cubali_fields(module: CubaLI, site: Site) -> tuple[Fields, dict[str, Any]]:
    fields = _current_fields(module, site)
    return fields, {"dt": site.dt, **start_record(module, fields["v_leak"], site)}


def _cubali_to_node(module: CubaLI, site: Site) -> nir.CubaLI:
    fields, record = _cubali_fields(module, site)
    return nir.CubaLI(**with_originals(module, fields), metadata={KEY: record})


def _cubali_to_module(node: nir.CubaLI, name: str, options: ImportOptions) -> CubaLI:
    module = CubaLI(**_current_arguments(node, name, options), step_mode=options.step_mode)
    module = finished(module, node, name, options)
    keep_originals(module, node, _cubali_fields(module, _site(node, options))[0])
    return module


# both


def _current_arguments(
    node: nir.CubaLI | nir.CubaLIF, name: str, options: ImportOptions
) -> dict[str, Any]:
    return {
        "tau_syn": tensor(steps_of(node, name, "tau_syn", options.dt), options),
        "tau_mem": tensor(steps_of(node, name, "tau_mem", options.dt), options),
        "r": tensor(per_neuron(node, name, "r"), options),
        "v_leak": tensor(per_neuron(node, name, "v_leak"), options),
        "w_in": tensor(per_neuron(node, name, "w_in"), options),
    }


def _site(node: nir.CubaLI | nir.CubaLIF, options: ImportOptions) -> Site:
    shape = np.shape(node.tau_mem)
    return Site("", "", options.dt, input_shape=shape, output_shape=shape, batch_axes=1)


def _output_shape(node: nir.CubaLI | nir.CubaLIF, name: str, shape: Shape) -> Shape:
    fields = ("v_leak", "tau_syn", "tau_mem", "r", "w_in")
    if isinstance(node, nir.CubaLIF):
        fields = ("v_threshold", *fields, "v_reset")
    return neuron_shape(node, name, fields, shape)


register_op(
    Op(
        nodes=(nir.CubaLIF,),
        modules=(CUBALIFNode, CubaLIF),
        to_node=_cubalif_to_node,
        to_module=_cubalif_to_module,
        output_shape=_output_shape,
    )
)
register_op(
    Op(
        nodes=(nir.CubaLI,),
        modules=(CubaLI,),
        to_node=_cubali_to_node,
        to_module=_cubali_to_module,
        output_shape=_output_shape,
    )
)
