"""Nodes with a memory: neurons and delays, one step `[B, *]` at a time."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from ..errors import NIRGraphError
from .fields import Shape, SingleNumberError, floats
from .rule import RESETS, THRESHOLDS, Rule, recorded_number, recorded_word

__all__ = ["NEURONS", "Delay", "Neuron"]

_ROUNDING = 1e-6  # a time constant of one step may be rounded to float32
_LONGEST = 1 << 62  # steps
NEURONS = (nir.I, nir.IF, nir.LI, nir.LIF, nir.CubaLI, nir.CubaLIF)


class Neuron:
    """Any of I, IF, LI, LIF, CubaLI, CubaLIF.

    Attributes:
        v, i: potential and synaptic current (CubaLI, CubaLIF) after the last step, `[B, *]`.
        h: potential before the reset of the last step.
        spiking: whether it fires; the others put out their potential.

    Raises:
        NIRGraphError: fields of different shapes, a time constant that is not positive or is
            shorter than dt, an unreadable entry of the metadata.
    """

    def __init__(self, node: Any, name: str, rule: Rule) -> None:
        self.name, self.node, self.dtype = name, node, rule.dtype
        self.spiking = isinstance(node, nir.IF | nir.LIF | nir.CubaLIF)
        fields = [
            field
            for field in ("r", "tau", "tau_syn", "tau_mem", "v_leak", "v_threshold", "v_reset")
            if hasattr(node, field)
        ]
        if hasattr(node, "w_in"):
            fields.append("w_in")
        self.p = {field: floats(node, name, field) for field in fields}
        self.shape = self.p["r"].shape
        self._check_shapes()
        dt = rule.if_dt if isinstance(node, nir.IF) else rule.dt
        self._set_rates(dt)
        self.p = {field: value.astype(rule.dtype) for field, value in self.p.items()}
        if self.spiking:
            reset = rule.reset or recorded_word(node, name, "reset", RESETS) or "hard"
            fires = rule.threshold or recorded_word(node, name, "fire", THRESHOLDS) or ">"
            self.soft = reset == "soft"
            self.test = np.greater if fires == ">" else np.greater_equal
        self.start(0)

    def _check_shapes(self) -> None:
        for field, value in self.p.items():
            if value.shape != self.shape and not (field == "w_in" and value.ndim == 0):
                raise NIRGraphError(
                    f"shape {value.shape} differs from that of r, {self.shape}",
                    node=self.name,
                    field=field,
                )

    def check_input(self, shape: Shape) -> None:
        """Refuse another shape than that of the parameters."""
        if shape != self.shape:
            if not self.shape:
                raise SingleNumberError(shape, node=self.name, field="r")
            raise NIRGraphError(
                f"has shape {self.shape}, but gets {shape}; they must be equal",
                node=self.name,
                field="r",
            )

    def _set_rates(self, dt: float) -> None:
        """dt / tau for every time constant, dt r for the integrators."""
        for field in [field for field in self.p if field.startswith("tau")]:
            shortest = float(self.p[field].min())
            if shortest <= 0:
                raise NIRGraphError(
                    f"must be positive, got {shortest}", node=self.name, field=field
                )
            if shortest < dt * (1.0 - _ROUNDING):
                raise NIRGraphError(
                    f"{shortest:.12g} s is shorter than dt = {dt:.12g} s, so one Euler step would "
                    f"overshoot; use a dt of at most {shortest:.12g}",
                    node=self.name,
                    field=field,
                )
            self.p[f"rate_{field}"] = dt / self.p[field]
        if isinstance(self.node, nir.I | nir.IF):
            self.p["gain"] = dt * self.p["r"]

    def start(self, batch: int) -> None:
        """Go back to the state before the first step."""
        recorded = recorded_number(self.node, self.name, "v_init")
        if recorded is None:
            rest = self.p.get("v_reset", self.p.get("v_leak", np.zeros(())))
        else:
            rest = recorded
        if rest.shape not in ((), self.shape):
            raise NIRGraphError(
                f"expected shape {self.shape}, got {rest.shape}",
                node=self.name,
                field="metadata/sj_nir/v_init",
            )
        self.v = np.broadcast_to(rest, (batch, *self.shape)).astype(self.dtype)
        self.i = np.zeros((batch, *self.shape), self.dtype)
        self.h = self.v

    def step(self, x: np.ndarray, forced: np.ndarray | None = None) -> np.ndarray:
        """One step; spikes `forced` by the caller decide the reset in place of its own."""
        p = self.p
        if "rate_tau_syn" in p:
            self.i = self.i + p["rate_tau_syn"] * (p["w_in"] * x - self.i)
            x = self.i
        if "gain" in p:
            h = self.v + p["gain"] * x
        else:
            rate = p["rate_tau"] if "rate_tau" in p else p["rate_tau_mem"]
            h = self.v + rate * ((p["v_leak"] - self.v) + p["r"] * x)
        self.h = self.v = h
        if not self.spiking:
            return h
        fired = self.test(h, p["v_threshold"])
        resetting = fired if forced is None else forced != 0
        after = h - (p["v_threshold"] - p["v_reset"]) if self.soft else p["v_reset"]
        self.v = np.where(resetting, after, h)
        return fired.astype(self.dtype)

    def memories(self) -> dict[str, np.ndarray]:
        """What is traced of it."""
        found = {"v": self.v}
        if "rate_tau_syn" in self.p:
            found["i"] = self.i
        if self.spiking:
            found["h"] = self.h
        return found


class Delay:
    """y[t] = x[t - steps], element by element, zeros before.

    Raises:
        NIRGraphError: a negative delay.
    """

    def __init__(self, node: nir.Delay, name: str, rule: Rule) -> None:
        self.name, self.dtype = name, rule.dtype
        delay = floats(node, name, "delay")
        if delay.min() < 0:
            raise NIRGraphError(
                f"must not be negative, got {delay.min()}", node=name, field="delay"
            )
        with np.errstate(over="ignore"):
            self.steps = np.minimum(np.rint(delay / rule.dt), _LONGEST).astype(np.int64)
        self.shape = self.steps.shape
        self.start(0)

    def check_input(self, shape: Shape) -> None:
        """Refuse another shape than that of the delays."""
        if shape != self.shape:
            if not self.shape:
                raise SingleNumberError(shape, node=self.name, field="delay")
            raise NIRGraphError(
                f"has shape {self.shape}, but gets {shape}", node=self.name, field="delay"
            )

    def start(self, batch: int) -> None:
        self.past: list[np.ndarray] = []  # the newest last
        self.zeros = np.zeros((batch, *self.shape), self.dtype)

    def step(self, x: np.ndarray) -> np.ndarray:
        """One step of a loop."""
        self.past.append(x)
        del self.past[: -int(self.steps.max()) - 1]
        result = self.zeros.copy()
        for steps in np.unique(self.steps):
            if steps < len(self.past):
                np.copyto(result, self.past[-int(steps) - 1], where=self.steps == steps)
        return result

    def run(self, x_seq: np.ndarray) -> np.ndarray:
        """All steps of `[T, B, *]`."""
        result = np.zeros_like(x_seq)
        for steps in np.unique(self.steps):
            n = min(int(steps), len(x_seq))
            np.copyto(result[n:], x_seq[: len(x_seq) - n], where=self.steps == steps)
        return result
