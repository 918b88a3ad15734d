"""Element by element, without state.

Scale       y = scale x
Threshold   z = [x > threshold]        see `firing` for equality
"""

from __future__ import annotations

import nir
import numpy as np

from ..fields import parameter
from ..metadata import KEY
from ..modules import Scale, Threshold
from .firing import firing_rule, set_strict, threshold_and_rule
from .originals import keep_originals, with_originals
from .spiking import neuron_shape, spread
from .surrogate import check_step_function, surrogate_in, surrogate_record
from .table import ImportOptions, Op, Shape, Site, register_op

__all__: list[str] = []


def _scale_to_node(module: Scale, site: Site) -> nir.Scale:
    fields = with_originals(module, _scale_fields(module, site.output_shape))
    return nir.Scale(scale=fields["scale"])


def _scale_fields(module: Scale, shape: Shape) -> dict[str, np.ndarray]:
    dtype = np.float64 if module.scale.element_size() > 4 else np.float32
    return {"scale": spread(module.scale, shape, "scale").astype(dtype)}


def _scale_to_module(node: nir.Scale, name: str, options: ImportOptions) -> Scale:
    module = Scale(parameter(node, name, "scale", options.device, options.dtype))
    keep_originals(module, node, _scale_fields(module, tuple(module.scale.shape)))
    return module


def _threshold_to_node(module: Threshold, site: Site) -> nir.Threshold:
    check_step_function(module.surrogate_function, site)
    fields, rule = _threshold_fields(module, site.output_shape)
    record = {"fire": rule, **surrogate_record(module.surrogate_function)}
    return nir.Threshold(**with_originals(module, fields), metadata={KEY: record})


def _threshold_fields(module: Threshold, shape: Shape) -> tuple[dict[str, np.ndarray], str]:
    threshold, rule = threshold_and_rule(module, "threshold")
    return {"threshold": spread(threshold, shape, "threshold")}, rule


def _threshold_to_module(node: nir.Threshold, name: str, options: ImportOptions) -> Threshold:
    threshold = parameter(node, name, "threshold", options.device, options.dtype)
    module = Threshold(threshold, surrogate_in(node, name))
    if firing_rule(node, name, options) == ">":
        set_strict(module, options.dtype, "threshold")
    keep_originals(module, node, _threshold_fields(module, tuple(threshold.shape))[0])
    return module


def _output_shape(node: nir.Scale | nir.Threshold, name: str, shape: Shape) -> Shape:
    return neuron_shape(
        node, name, ("scale" if isinstance(node, nir.Scale) else "threshold",), shape
    )


register_op(
    Op(
        nodes=(nir.Scale,),
        modules=(Scale,),
        to_node=_scale_to_node,
        to_module=_scale_to_module,
        output_shape=_output_shape,
    )
)
register_op(
    Op(
        nodes=(nir.Threshold,),
        modules=(Threshold,),
        to_node=_threshold_to_node,
        to_module=_threshold_to_module,
        output_shape=_output_shape,
    )
)
