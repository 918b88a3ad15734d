"""Delays of whole steps.

y[t] = x[t - round(delay / dt)], zeros before
"""

from __future__ import annotations

import nir
import numpy as np
import torch

import sj_layers as layer

from ..errors import NIRGraphError
from ..fields import common_value
from ..metadata import KEY
from ..modules import Delay
from .originals import keep_originals, with_originals
from .spiking import neuron_shape, per_neuron
from .table import ImportOptions, Op, Shape, Site, register_op

__all__: list[str] = []

_MOST_STEPS = 10**6


def _fields(module: layer.Delay | Delay, shape: Shape, dt: float) -> dict[str, np.ndarray]:
    steps = module.delay_steps
    steps = steps.cpu().numpy() if isinstance(steps, torch.Tensor) else steps
    return {"delay": np.broadcast_to(steps, shape) * dt}


def _to_node(module: layer.Delay | Delay, site: Site) -> nir.Delay:
    fields = with_originals(module, _fields(module, site.output_shape, site.dt))
    return nir.Delay(**fields, metadata={KEY: {"dt": site.dt}})


def _to_module(node: nir.Delay, name: str, options: ImportOptions) -> layer.Delay | Delay:
    seconds = per_neuron(node, name, "delay")
    if seconds.min() < 0:
        raise NIRGraphError(
            f"must not be negative, got {seconds.min():.12g}", node=name, field="delay"
        )
    steps = np.rint(seconds / options.dt)
    if steps.max() > _MOST_STEPS:
        raise NIRGraphError(
            f"{seconds.max():.12g} s are {steps.max():.0f} steps of dt = {options.dt:.12g} s, "
            f"more than {_MOST_STEPS}; pass a longer dt",
            node=name,
            field="delay",
        )
    one = common_value(steps)
    module = (
        Delay(torch.from_numpy(steps.astype(np.int64)), options.step_mode).to(options.device)
        if one is None
        else layer.Delay(int(one), options.step_mode)
    )
    keep_originals(module, node, _fields(module, np.shape(seconds), options.dt))
    return module


def _output_shape(node: nir.Delay, name: str, shape: Shape) -> Shape:
    return neuron_shape(node, name, ("delay",), shape)


register_op(
    Op(
        nodes=(nir.Delay,),
        modules=(layer.Delay, Delay),
        to_node=_to_node,
        to_module=_to_module,
        output_shape=_output_shape,
    )
)
