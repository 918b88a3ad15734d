"""Neurons without leak.

    I    v <- v + dt r x                      output v
    IF   v <- v + dt r x;  z = [v > v_threshold];  v <- v_reset where z

IFNode and NonSpikingIFNode have dt r = 1. See `spiking` for the start and the soft reset, `firing`
for equality.
"""

from __future__ import annotations

import logging
from typing import Any

import nir
import numpy as np
import torch

from sj_neurons.neuron import ActivationAwareIFNode, HalfThresholdIFNode, IFNode, NonSpikingIFNode

from ..errors import NotSupportedError
from ..fields import common_value
from ..metadata import KEY, flag_in
from ..modules import IF, I
from .originals import keep_originals, with_originals
from .spiking import (
    finished,
    firing_arguments,
    firing_fields,
    hard_or_soft,
    neuron_shape,
    per_neuron,
    same,
    spread,
    start_record,
    tell_soft_reset,
    tensor,
)
from .surrogate import surrogate_in
from .table import ImportOptions, Op, Shape, Site, register_op

__all__: list[str] = []

logger = logging.getLogger(__name__)


# integrate and fire


def _if_fields(module: Any, site: Site) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    fields, record = firing_fields(_with_offset(module, site), site)
    general = isinstance(module, IF)
    gain = spread(module.r if general else 1.0, site.output_shape, "r")
    fields = {"r": gain / site.dt, **fields}
    return fields, {**record, "per_neuron": True} if general else record


def _if_to_node(module: Any, site: Site) -> nir.IF:
    fields, record = _if_fields(module, site)
    tell_soft_reset(record, site)
    return nir.IF(**with_originals(module, fields), metadata={KEY: record})


def _with_offset(module: Any, site: Site) -> Any:
    """The same neuron without offset and with one number per neuron."""
    if not isinstance(module, ActivationAwareIFNode):
        return module
    rank = len(site.output_shape) + 1

    def along_channels(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        axis = module.channel_dim % rank
        return value.view([-1 if i == axis else 1 for i in range(rank)])

    if bool((torch.as_tensor(module.v_offset) != 0).any()):
        raise NotSupportedError(
            "v_offset is not 0; NIR adds nothing before the threshold, take it off v_threshold"
        )
    plain = IFNode(
        along_channels(module.v_threshold),
        module.v_reset,
        module.surrogate_function,
        module.detach_reset,
    )
    plain.set_reset_value("v", module.get_reset_value("v"))
    return plain


def _if_to_module(node: nir.IF, name: str, options: ImportOptions) -> IFNode | IF:
    dt = options.dt if options.if_dt is None else options.if_dt
    gain = per_neuron(node, name, "r") * dt
    arguments = firing_arguments(node, name, options)
    if arguments is not None and same(gain, 1.0):
        module = finished(IFNode(**arguments), node, name, options)
    else:
        _tell_other_unit(node, name, dt)
        module = IF(
            tensor(gain, options),
            tensor(per_neuron(node, name, "v_threshold"), options),
            tensor(per_neuron(node, name, "v_reset"), options),
            soft_reset=hard_or_soft(node, name, options) == "soft",
            detach_reset=flag_in(node, name, "detach_reset"),
            surrogate_function=surrogate_in(node, name),
            step_mode=options.step_mode,
        )
        module = finished(module, node, name, options)
    _keep(module, node, options, dt, _if_fields)
    return module


def _tell_other_unit(node: nir.IF, name: str, dt: float) -> None:
    """Some software writes IF neurons in units of one step."""
    if common_value(np.asarray(node.r)) == 1.0 and dt != 1.0:
        logger.warning(
            "node %r: r = 1 adds %g of the input per step; "
            "if its writer meant all of it, import with if_dt=1.0",
            name,
            dt,
        )


# integrator


def _i_fields(module: Any, site: Site) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    gain = module.r if isinstance(module, I) else 1.0
    fields = {"r": spread(gain, site.output_shape, "r") / site.dt}
    record = {"dt": site.dt, **start_record(module, np.zeros(site.output_shape), site)}
    return fields, record


def _i_to_node(module: I | NonSpikingIFNode, site: Site) -> nir.I:
    fields, record = _i_fields(module, site)
    return nir.I(**with_originals(module, fields), metadata={KEY: record})


def _i_to_module(node: nir.I, name: str, options: ImportOptions) -> I:
    gain = per_neuron(node, name, "r") * options.dt
    module = I(tensor(gain, options), step_mode=options.step_mode)
    module = finished(module, node, name, options)
    _keep(module, node, options, options.dt, _i_fields)
    return module


# both


def _keep(module: Any, node: Any, options: ImportOptions, dt: float, fields: Any) -> None:
    shape = np.shape(node.r)
    site = Site(name="", path="", dt=dt, input_shape=shape, output_shape=shape, batch_axes=1)
    keep_originals(module, node, fields(module, site)[0])


def _output_shape(node: nir.I | nir.IF, name: str, shape: Shape) -> Shape:
    fields = ("v_threshold", "r", "v_reset") if isinstance(node, nir.IF) else ("r",)
    return neuron_shape(node, name, fields, shape)


register_op(
    Op(
        nodes=(nir.IF,),
        modules=(IFNode, HalfThresholdIFNode, ActivationAwareIFNode, IF),
        to_node=_if_to_node,
        to_module=_if_to_module,
        output_shape=_output_shape,
    )
)
register_op(
    Op(
        nodes=(nir.I,),
        modules=(I, NonSpikingIFNode),
        to_node=_i_to_node,
        to_module=_i_to_module,
        output_shape=_output_shape,
    )
)
