"""Leaky neurons; dt in seconds, tau' = tau / dt the time constant in steps.

    LI    v <- v + (dt / tau) ((v_leak - v) + r x)      output v
    LIF   the same, then z = [v > v_threshold];  v <- v_reset where z

LIFNode has v_leak = v_reset, and r = 1 with decay_input, r = tau' without; NonSpikingLIFNode has
r = 1 and v_leak = 0. See `spiking` for the
start and the soft reset, `firing` for equality.
"""

from __future__ import annotations

import math
from typing import Any

import nir
import numpy as np
import torch
from torch import nn

from sj_neurons.neuron import (
    LIFNode,
    MPBNLIFNode,
    NonSpikingLIFNode,
    OTTTLIFNode,
    ParametricLIFNode,
    SLTTLIFNode,
)

from ..errors import NotSupportedError
from ..fields import common_value
from ..metadata import KEY, flag_in
from ..modules import LI, LIF
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


# leaky integrate and fire


def _lif_fields(module: Any, site: Site) -> tuple[Fields, dict[str, Any]]:
    if isinstance(module, MPBNLIFNode):
        module = _without_norm(module)
    fields, record = firing_fields(module, site)
    if isinstance(module, LIF):
        leak = _leak_fields(module, site)
        return {**leak, **fields}, {**record, "per_neuron": True}
    tau = module.tau
    if not math.isfinite(tau):
        raise NotSupportedError(f"tau is {tau}; it must be finite")
    leak = {
        "tau": np.full(site.output_shape, tau * site.dt),
        "r": np.full(site.output_shape, 1.0 if module.decay_input else tau),
        "v_leak": fields["v_reset"].copy(),
    }
    return {**leak, **fields}, {**record, "tau": tau, "decay_input": module.decay_input}


def _without_norm(module: MPBNLIFNode) -> LIFNode:
    """The same neuron with a threshold for each channel, `[C]` or `[C, 1, 1]`.

    Raises:
        NotSupportedError: it normalises its potential, fires downwards, or takes off another
            threshold than it fires at.
    """
    threshold = module.threshold()
    if module.fold_bn:
        if module.normalize_residual or module.v_reset is None:
            raise NotSupportedError(
                "its folded threshold is not that of its reset; use a hard reset, and fold "
                "with normalize_residual=False"
            )
        if module.gamma is None or bool((module.gamma <= 0).any()):
            raise NotSupportedError("a weight of its BatchNorm is not positive")
        threshold = module.folded_threshold().detach()
        threshold = threshold.view(-1, 1, 1) if module.is_planar else threshold
    elif not isinstance(module.vbn, nn.Identity):
        raise NotSupportedError(
            "it normalises its potential; call re_parameterize_v_threshold() and check accuracy"
        )
    plain = LIFNode(
        module.tau,
        module.decay_input,
        threshold,
        module.v_reset,
        module.surrogate_function,
        module.detach_reset,
    )
    plain.set_reset_value("v", module.get_reset_value("v"))
    return plain


def _leak_fields(module: LI | LIF, site: Site) -> Fields:
    shape = site.output_shape
    return {
        "tau": seconds(module.tau, "tau", site),
        "r": spread(module.r, shape, "r"),
        "v_leak": spread(module.v_leak, shape, "v_leak"),
    }


def _lif_to_node(module: Any, site: Site) -> nir.LIF:
    fields, record = _lif_fields(module, site)
    tell_soft_reset(record, site)
    return nir.LIF(**with_originals(module, fields), metadata={KEY: record})


def _lif_to_module(node: nir.LIF, name: str, options: ImportOptions) -> LIFNode | LIF:
    plain = _plain_arguments(node, name, options)
    if plain is not None:
        module = LIFNode(**plain)
    else:
        module = LIF(
            **_leak_arguments(node, name, options),
            v_threshold=tensor(per_neuron(node, name, "v_threshold"), options),
            v_reset=tensor(per_neuron(node, name, "v_reset"), options),
            soft_reset=hard_or_soft(node, name, options) == "soft",
            detach_reset=flag_in(node, name, "detach_reset"),
            surrogate_function=surrogate_in(node, name),
            step_mode=options.step_mode,
        )
    module = finished(module, node, name, options)
    keep_originals(module, node, _lif_fields(module, _site(node, options))[0])
    return module


def _plain_arguments(node: nir.LIF, name: str, options: ImportOptions) -> dict[str, Any] | None:
    """The arguments of the LIFNode that computes the same, `None` if there is none."""
    dt = options.dt
    exact = exact_number(node, name, "tau", dt, lambda tau: tau * dt, "tau")
    tau = common_value(steps_of(node, name, "tau", dt)) if exact is None else exact
    v_leak = common_value(per_neuron(node, name, "v_leak"))
    arguments = firing_arguments(node, name, options)
    if tau is None or tau <= 1.0 or arguments is None:
        return None
    if v_leak != (arguments["v_reset"] or 0.0):
        return None
    r = per_neuron(node, name, "r")
    stated = flag_in(node, name, "decay_input", default=True)  # decides only where tau is nearly 1
    for decay_input in (stated, not stated):
        if same(r, 1.0 if decay_input else tau):
            return {"tau": tau, "decay_input": decay_input, **arguments}
    return None


def _leak_arguments(node: nir.LI | nir.LIF, name: str, options: ImportOptions) -> dict[str, Any]:
    return {
        "tau": tensor(steps_of(node, name, "tau", options.dt), options),
        "r": tensor(per_neuron(node, name, "r"), options),
        "v_leak": tensor(per_neuron(node, name, "v_leak"), options),
    }


# leaky integrator


def _li_fields(module: Any, site: Site) -> tuple[Fields, dict[str, Any]]:
    if isinstance(module, NonSpikingLIFNode):
        module = LI(torch.tensor(module.tau, dtype=torch.float64))
    fields = _leak_fields(module, site)
    return fields, {"dt": site.dt, **start_record(module, fields["v_leak"], site)}


def _li_to_node(module: LI | NonSpikingLIFNode, site: Site) -> nir.LI:
    fields, record = _li_fields(module, site)
    return nir.LI(**with_originals(module, fields), metadata={KEY: record})


def _li_to_module(node: nir.LI, name: str, options: ImportOptions) -> LI:
    module = LI(**_leak_arguments(node, name, options), step_mode=options.step_mode)
    module = finished(module, node, name, options)
    keep_originals(module, node, _li_fields(module, _site(node, options))[0])
    return module


# both


def _site(node: nir.LI | nir.LIF, options: ImportOptions) -> Site:
    shape = np.shape(node.tau)
    return Site("", "", options.dt, input_shape=shape, output_shape=shape, batch_axes=1)


def _output_shape(node: nir.LI | nir.LIF, name: str, shape: Shape) -> Shape:
    fields = ("v_leak", "tau", "r")
    if isinstance(node, nir.LIF):
        fields = ("v_threshold", *fields, "v_reset")
    return neuron_shape(node, name, fields, shape)


register_op(
    Op(
        nodes=(nir.LIF,),
        modules=(LIFNode, ParametricLIFNode, OTTTLIFNode, SLTTLIFNode, MPBNLIFNode, LIF),
        to_node=_lif_to_node,
        to_module=_lif_to_module,
        output_shape=_output_shape,
    )
)
register_op(
    Op(
        nodes=(nir.LI,),
        modules=(LI, NonSpikingLIFNode),
        to_node=_li_to_node,
        to_module=_li_to_module,
        output_shape=_output_shape,
    )
)
