"""Integrate-and-fire neurons; dt in seconds, tau' = tau / dt the time constant in steps.

IF     v <- v + dt r x                          IFNode has r = 1 / dt
LIF    v <- v + (dt / tau) ((v_leak - v) + r x)
       LIFNode has v_leak = v_reset, and r = 1 with decay_input, r = tau' without
spike  z = [v > v_threshold];  v <- v_reset where z        see `firing` for equality

A soft reset, v <- v - v_threshold where z, is kept in the metadata only.
"""

from __future__ import annotations

import logging
import math
from typing import Any

import nir
import numpy as np

from sj_neurons.neuron import BaseNode, IFNode, LIFNode, ParametricLIFNode

from ..errors import NIRGraphError, NotSupportedError
from ..fields import array, uniform
from ..metadata import KEY, choice_in, number_in, record_of
from .firing import firing_rule, set_strict, threshold_and_rule
from .table import ImportOptions, Op, Shape, Site, register_op

__all__: list[str] = []

logger = logging.getLogger(__name__)

SAME = 1e-6  # relative: two numbers of a file that are meant to be equal


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=SAME)


# module -> node


def _if_to_node(module: IFNode, site: Site) -> nir.IF:
    fields, record = _common(module, site)
    return nir.IF(r=np.full(site.output_shape, 1.0 / site.dt), **fields, metadata={KEY: record})


def _lif_to_node(module: LIFNode | ParametricLIFNode, site: Site) -> nir.LIF:
    fields, record = _common(module, site)
    tau = module.tau
    if not math.isfinite(tau):
        raise NotSupportedError(f"tau is {tau}; it must be finite")
    return nir.LIF(
        tau=np.full(site.output_shape, tau * site.dt),
        r=np.full(site.output_shape, 1.0 if module.decay_input else tau),
        v_leak=fields["v_reset"].copy(),
        **fields,
        metadata={KEY: {**record, "tau": tau, "decay_input": module.decay_input}},
    )


def _common(module: BaseNode, site: Site) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The fields and the metadata that all spiking neurons share."""
    if not site.output_shape:
        raise NotSupportedError("has one number per sample; give it a feature axis, [N, 1]")
    if not getattr(module.surrogate_function, "spiking", True):
        raise NotSupportedError(
            "its surrogate_function has spiking=False, so it puts out no spikes; "
            "call surrogate_function.set_spiking_mode(True)"
        )
    v_threshold, rule = threshold_and_rule(module)
    v_reset = 0.0 if module.v_reset is None else module.v_reset
    if not math.isfinite(v_threshold) or not math.isfinite(v_reset):
        raise NotSupportedError(f"v_threshold={v_threshold}, v_reset={v_reset} must be finite")
    record: dict[str, Any] = {
        "reset": "soft" if module.v_reset is None else "hard",
        "fire": rule,
        "dt": site.dt,
    }
    v_init = module.get_reset_value("v")
    if not isinstance(v_init, int | float):
        raise NotSupportedError("starts from a tensor; set_reset_value('v', ...) to a number")
    if v_init != v_reset:
        record["v_init"] = float(v_init)
    if module.v_reset is None:
        logger.warning(
            "node %r: the soft reset is kept in metadata only; "
            "other software will reset to 0 after a spike",
            site.name,
        )
    fields = {"v_threshold": v_threshold, "v_reset": v_reset}
    return {key: np.full(site.output_shape, value) for key, value in fields.items()}, record


# node -> module


def _if_to_module(node: nir.IF, name: str, options: ImportOptions) -> IFNode:
    r = uniform(node, name, "r")
    dt = options.dt if options.if_dt is None else options.if_dt
    if not _same(r * dt, 1.0):
        argument = "dt" if options.if_dt is None else "if_dt"
        advice = f"; r fits if_dt={1.0 / r:.12g}" if r > 0 else ""
        raise NotSupportedError(
            f"expected 1/{argument} = {1.0 / dt:.12g}, got {r:.12g}{advice}", node=name, field="r"
        )
    return _finished(IFNode(**_reset_and_threshold(node, name, options)), node, name, options)


def _lif_to_module(node: nir.LIF, name: str, options: ImportOptions) -> LIFNode:
    tau = _steps(node, name, options.dt)
    r = uniform(node, name, "r")
    gains = {True: 1.0, False: tau}
    stated = bool(record_of(node).get("decay_input", True))  # decides only where tau is nearly 1
    fitting = [choice for choice in (stated, not stated) if _same(r, gains[choice])]
    if not fitting:
        raise NotSupportedError(
            f"expected 1 (input divided by tau) or tau/dt = {tau:.12g} (input not divided), "
            f"got {r:.12g}; other gains are not supported yet",
            node=name,
            field="r",
        )
    v_leak, v_reset = uniform(node, name, "v_leak"), uniform(node, name, "v_reset")
    if v_leak != v_reset:
        raise NotSupportedError(
            f"expected v_reset = {v_reset}, got {v_leak}; a leak to another potential is not "
            "supported yet",
            node=name,
            field="v_leak",
        )
    neuron = LIFNode(tau, fitting[0], **_reset_and_threshold(node, name, options))
    return _finished(neuron, node, name, options)


def _steps(node: nir.LIF, name: str, dt: float) -> float:
    """The time constant in steps, exact where the node's metadata still describes its field."""
    seconds = array(node, name, "tau")
    if seconds.min() <= 0:
        raise NIRGraphError(f"must be positive, got {seconds.min()}", node=name, field="tau")
    tau = uniform(node, name, "tau")
    exact = number_in(node, name, "tau")
    described = record_of(node).get("dt") == dt
    if exact is not None and described and exact > 1.0 and exact * dt == tau:
        return exact
    if tau <= dt:
        raise NIRGraphError(
            f"{tau:.12g} s is not longer than dt = {dt:.12g} s, so one Euler step would overshoot; "
            f"pass a dt below {tau:.12g}",
            node=name,
            field="tau",
        )
    return tau / dt


def _reset_and_threshold(node: nir.IF | nir.LIF, name: str, options: ImportOptions) -> Any:
    reset = options.reset or choice_in(node, name, "reset", ("hard", "soft")) or "hard"
    v_reset = uniform(node, name, "v_reset")
    if reset == "soft" and v_reset != 0.0:
        raise NotSupportedError(
            f"a soft reset needs v_reset = 0, got {v_reset}", node=name, field="v_reset"
        )
    return {
        "v_threshold": uniform(node, name, "v_threshold"),
        "v_reset": None if reset == "soft" else v_reset,
        "step_mode": options.step_mode,
    }


def _finished(neuron: Any, node: nir.NIRNode, name: str, options: ImportOptions) -> Any:
    v_init = number_in(node, name, "v_init")
    if v_init is not None:
        neuron.set_reset_value("v", v_init)
        neuron.reset()
    if firing_rule(node, name, options) == ">":
        set_strict(neuron, options.dtype)
    return neuron


def _output_shape(node: nir.IF | nir.LIF, name: str, shape: Shape) -> Shape:
    own = np.shape(node.v_threshold)
    for field in ("tau", "r", "v_leak", "v_reset"):
        if hasattr(node, field) and np.shape(getattr(node, field)) != own:
            raise NIRGraphError(
                f"shape {np.shape(getattr(node, field))} differs from that of v_threshold, {own}",
                node=name,
                field=field,
            )
    if own != shape:
        raise NIRGraphError(
            f"parameters of shape {own}, but gets {shape}; they must be equal", node=name
        )
    return shape


register_op(
    Op(
        nodes=(nir.IF,),
        modules=(IFNode,),
        to_node=_if_to_node,
        to_module=_if_to_module,
        output_shape=_output_shape,
    )
)
register_op(
    Op(
        nodes=(nir.LIF,),
        modules=(LIFNode, ParametricLIFNode),
        to_node=_lif_to_node,
        to_module=_lif_to_module,
        output_shape=_output_shape,
    )
)
