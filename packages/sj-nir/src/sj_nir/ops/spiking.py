"""What the neurons of NIR share: parameters spread over a sample, the start, firing and reset.

A potential starts at v_reset (spiking), v_leak (leaky integrators) or 0 (the integrator), unless
the metadata say otherwise. dt is in seconds, the time constants of modules are in steps.
"""

from __future__ import annotations

import logging
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn

from sj_neurons.neuron import BaseNode

from ..errors import NIRGraphError, NotSupportedError
from ..fields import array, common_value, one_shape
from ..metadata import KEY, choice_in, flag_in, number_in, numbers_in, record_of
from .firing import firing_rule, set_strict, threshold_and_rule
from .surrogate import check_step_function, surrogate_in, surrogate_record
from .table import ImportOptions, Shape, Site
from .weights import copied

__all__ = [
    "SAME",
    "exact_number",
    "finished",
    "firing_arguments",
    "firing_fields",
    "hard_or_soft",
    "neuron_shape",
    "per_neuron",
    "same",
    "seconds",
    "spread",
    "start_record",
    "steps_of",
    "tell_soft_reset",
    "tensor",
]

logger = logging.getLogger(__name__)

SAME = 1e-6  # relative: two numbers of a file that are meant to be equal


def same(a: np.ndarray, b: np.ndarray | float) -> bool:
    """Whether all numbers agree as far as those of files do."""
    return bool(np.isclose(a, b, rtol=SAME, atol=0.0).all())


# module -> node


def spread(value: float | Tensor, shape: Shape, what: str) -> np.ndarray:
    """`value`, which broadcasts to `[N, *shape]`, as one float64 for each neuron.

    Raises:
        NotSupportedError: it differs between samples, does not fit, or is not finite.
    """
    numbers = copied(value) if isinstance(value, Tensor) else np.asarray(float(value))
    if numbers.ndim == len(shape) + 1 and numbers.shape[0] == 1:
        numbers = numbers[0]
    try:
        values = np.broadcast_to(numbers.astype(np.float64), shape).copy()
    except ValueError:
        raise NotSupportedError(
            f"{what} of shape {np.shape(numbers)} does not fit samples of shape {shape}; NIR has "
            "one number for each neuron"
        ) from None
    if not np.isfinite(values).all():
        shown = f"={value}" if not isinstance(value, Tensor) else ""
        raise NotSupportedError(f"{what}{shown} must be finite")
    return values


def seconds(value: float | Tensor, what: str, site: Site) -> np.ndarray:
    """A time constant in steps as one in seconds for each neuron.

    Raises:
        NotSupportedError: shorter than one step, which import would refuse.
    """
    steps = spread(value, site.output_shape, what)
    if steps.min() < 1.0 - SAME:
        raise NotSupportedError(f"{what} is {steps.min():.6g} steps; it must be at least 1")
    return steps * site.dt


def start_record(module: BaseNode, at_rest: np.ndarray, site: Site) -> dict[str, Any]:
    """The metadata entry for a start elsewhere than `at_rest`."""
    start: Any = module.get_reset_value("v")
    try:
        values = spread(start, at_rest.shape, "the start potential")
    except NotSupportedError as error:
        site.lose(str(error))
        return {}
    if (values == at_rest).all():
        return {}
    one = common_value(values)
    return {"v_init": values if one is None else one}


def firing_fields(module: Any, site: Site) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The fields and the metadata that all spiking neurons share."""
    if not site.output_shape:
        raise NotSupportedError("has one number per sample; give it a feature axis, [N, 1]")
    check_step_function(module.surrogate_function, site)
    v_threshold, rule = threshold_and_rule(module)
    soft = module.v_reset is None or getattr(module, "soft_reset", False)
    fields = {
        "v_threshold": spread(v_threshold, site.output_shape, "v_threshold"),
        "v_reset": spread(
            0.0 if module.v_reset is None else module.v_reset, site.output_shape, "v_reset"
        ),
    }
    record: dict[str, Any] = {
        "reset": "soft" if soft else "hard",
        "fire": rule,
        "dt": site.dt,
        **start_record(module, fields["v_reset"], site),
        **({"detach_reset": True} if module.detach_reset else {}),
        **surrogate_record(module.surrogate_function),
    }
    return fields, record


def tell_soft_reset(record: dict[str, Any], site: Site) -> None:
    """Warn that other software does not read our metadata."""
    if record["reset"] == "soft":
        logger.warning(
            "node %r: the soft reset is kept in metadata only; "
            "other software will set the potential to v_reset after a spike",
            site.name,
        )


# node -> module


def neuron_shape(node: nir.NIRNode, name: str, fields: tuple[str, ...], shape: Shape) -> Shape:
    """The shape of a neuron's output, which gets inputs of `shape`."""
    own = one_shape(node, name, fields)
    if own != shape:
        advice = "write one number for each neuron" if own == () else "they must be equal"
        raise NIRGraphError(f"parameters of shape {own}, but gets {shape}; {advice}", node=name)
    return shape


def per_neuron(node: nir.NIRNode, name: str, field: str) -> np.ndarray:
    """The field as float64, one number for each neuron."""
    return array(node, name, field).astype(np.float64)


def steps_of(node: nir.NIRNode, name: str, field: str, dt: float) -> np.ndarray:
    """A field of time constants in steps.

    Raises:
        NIRGraphError: not positive, or shorter than one step.
    """
    values = per_neuron(node, name, field)
    shortest = float(values.min())
    if shortest <= 0:
        raise NIRGraphError(f"must be positive, got {shortest}", node=name, field=field)
    if shortest < dt * (1.0 - SAME):
        raise NIRGraphError(
            f"{shortest:.12g} s is shorter than dt = {dt:.12g} s, so one Euler step would "
            f"overshoot; pass a dt of at most {shortest:.12g}",
            node=name,
            field=field,
        )
    return values / dt


def exact_number(
    node: nir.NIRNode, name: str, entry: str, dt: float, described: Any, field: str
) -> float | None:
    """The exact number stored as `entry`, if the field still is what it describes at this dt.

    Args:
        described: from the number to what export writes into `field`.
    """
    exact = number_in(node, name, entry)
    if exact is None or record_of(node).get("dt") != dt:
        return None
    return exact if (per_neuron(node, name, field) == described(exact)).all() else None


def hard_or_soft(node: nir.NIRNode, name: str, options: ImportOptions) -> str:
    """`'hard'` or `'soft'`: the caller's choice, else the node's metadata, else hard."""
    return options.reset or choice_in(node, name, "reset", ("hard", "soft")) or "hard"


def firing_arguments(node: nir.NIRNode, name: str, options: ImportOptions) -> dict[str, Any] | None:
    """Threshold, reset and start as a plain neuron of sj_neurons takes them.

    A threshold for each neuron is among what it takes. `None` if it cannot say them.
    """
    v_reset = common_value(per_neuron(node, name, "v_reset"))
    v_init = numbers_in(node, name, "v_init")
    soft = hard_or_soft(node, name, options) == "soft"
    if flag_in(node, name, "per_neuron") or v_reset is None or (soft and v_reset != 0.0):
        return None
    if v_init is not None and common_value(v_init) is None:
        return None
    thresholds = per_neuron(node, name, "v_threshold")
    threshold: Any = common_value(thresholds)
    if threshold is None:
        threshold = nn.Parameter(tensor(thresholds, options), requires_grad=False)
    return {
        "v_threshold": threshold,
        "v_reset": None if soft else v_reset,
        "detach_reset": flag_in(node, name, "detach_reset"),
        "surrogate_function": surrogate_in(node, name),
        "step_mode": options.step_mode,
    }


def tensor(values: np.ndarray, options: ImportOptions) -> Tensor:
    """`values` on the device and of the type that the caller asked for."""
    return torch.tensor(values).to(device=options.device, dtype=options.dtype)


def finished(module: Any, node: nir.NIRNode, name: str, options: ImportOptions) -> Any:
    """`module` with the start potential of the metadata and, if it fires, the rule of firing."""
    v_init = numbers_in(node, name, "v_init")
    if v_init is not None:
        one = common_value(v_init)
        if one is None:
            shape = np.shape(getattr(node, "r"))  # noqa: B009
            if v_init.shape != shape:
                raise NIRGraphError(
                    f"shape {v_init.shape} differs from that of the fields, {shape}",
                    node=name,
                    field=f"metadata/{KEY}/v_init",
                )
            module.start_from(tensor(v_init, options))
        else:
            module.set_reset_value("v", one)
            module.reset()
    if hasattr(node, "v_threshold") and firing_rule(node, name, options) == ">":
        set_strict(module, options.dtype)
    return module
