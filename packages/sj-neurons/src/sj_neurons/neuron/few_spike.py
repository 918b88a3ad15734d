"""Few-spike neurons: any function of one variable from at most K weighted spikes.

A table of K thresholds theta, resets h and weights d turns a number x, the gate, into spikes:

    v_1 = x
    z_k = 1 where v_k >= theta_k, else 0
    v_(k+1) = v_k - h_k z_k
    y = d_1 z_1 + ... + d_K z_K

    's'   the gate is the input [N, *], the output y
    'm'   the gate is the sum of the input [K, N, *] over time, the output d_k z_k [K, N, *]

A call holds the K time steps of a whole code, with weights of their own: nothing is carried from
call to call, and no step is like the one before. This is no recurrence with constant coefficients.

Source: Stöckl, Maass, "Optimized spiking neurons can classify images with high accuracy through
temporal coding with two spikes", Nature Machine Intelligence 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from .._arguments import checked_number
from ..base import MemoryModule
from ..surrogate import Sigmoid, SurrogateFunction
from ._checks import checked_sequence, checked_surrogate

__all__ = ["FewSpikeNode", "FewSpikeTable", "HGNode", "OutlierAwareThresholdNode"]


def _row(name: str, values: Tensor | Sequence[float]) -> Tensor:
    row = torch.as_tensor(values).detach().clone()
    if row.dim() != 1 or row.numel() == 0:
        raise ValueError(
            f"FewSpikeTable: {name} must have one dimension and at least one number, got shape "
            f"{tuple(row.shape)}"
        )
    row = row if row.is_floating_point() else row.to(torch.get_default_dtype())
    if not row.isfinite().all():
        raise ValueError(f"FewSpikeTable: {name} must be finite, got {row.tolist()}")
    return row


class FewSpikeTable:
    """Thresholds, resets and weights of a few-spike code, one number per time step.

    Args:
        theta: thresholds, K of them.
        h: what a spike takes from the potential, K numbers.
        d: what a spike adds to the output, K numbers.

    Raises:
        ValueError: lengths that differ, or numbers that are not finite.
    """

    def __init__(
        self,
        theta: Tensor | Sequence[float],
        h: Tensor | Sequence[float],
        d: Tensor | Sequence[float],
    ) -> None:
        self.theta, self.h, self.d = _row("theta", theta), _row("h", h), _row("d", d)
        lengths = len(self.theta), len(self.h), len(self.d)
        if len(set(lengths)) > 1:
            raise ValueError(
                f"FewSpikeTable: theta, h and d must be equally long, got {lengths} numbers"
            )

    @property
    def K(self) -> int:
        """Number of time steps."""
        return len(self.theta)

    def __repr__(self) -> str:
        return (
            f"FewSpikeTable(theta={self.theta.tolist()}, h={self.h.tolist()}, d={self.d.tolist()})"
        )


def _checked_tables(owner: str, tables: Sequence[FewSpikeTable]) -> Sequence[FewSpikeTable]:
    for table in tables:
        if not isinstance(table, FewSpikeTable):
            raise TypeError(f"{owner}: expected a FewSpikeTable, got {table!r}")
    lengths = [table.K for table in tables]
    if len(set(lengths)) > 1:
        raise ValueError(f"{owner}: all tables must have the same K, got {lengths}")
    return tables


class FewSpikeNode(MemoryModule):
    """Few-spike neuron with one table; stateless.

    No scalar recurrence: a call holds a whole code, whose steps have weights of their own.

    Args:
        table: the code; it is copied into the buffers `theta`, `h`, `d`.
        surrogate_function: spike function with surrogate gradient; a new `Sigmoid()` if `None`.
        step_mode: `'s'` or `'m'`.

    Raises:
        ValueError: in `'m'`, an input that does not have K steps.

    Example:
        >>> import torch
        >>> node = FewSpikeNode(FewSpikeTable([2.0, 1.0], [2.0, 1.0], [2.0, 1.0]))
        >>> node(torch.tensor([0.5, 1.5, 3.5])).tolist()   # floor, from 0 to 3
        [0.0, 1.0, 3.0]
    """

    waivers: ClassVar[dict[str, str]] = {
        "modes": "'s' returns the sum of a whole code, 'm' the K terms of one code"
    }

    theta: Tensor
    h: Tensor
    d: Tensor

    def __init__(
        self,
        table: FewSpikeTable,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        step_mode: str = "s",
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        _checked_tables(owner, [table])
        self.surrogate_function = checked_surrogate(owner, surrogate_function, Sigmoid)
        self.register_buffer("theta", table.theta.clone())
        self.register_buffer("h", table.h.clone())
        self.register_buffer("d", table.d.clone())
        self.step_mode = step_mode

    @property
    def K(self) -> int:
        """Number of time steps of the code."""
        return len(self.theta)

    def code(self, gate: Tensor) -> list[Tensor]:
        """The K weighted spikes of the gate, `[N, *]` each."""
        return self.spikes(gate, self.theta, self.h, self.d)

    def spikes(self, gate: Tensor, theta: Tensor, h: Tensor, d: Tensor) -> list[Tensor]:
        """The weighted spikes of the gate under the table `theta, h, d`."""
        v, weighted = gate, []
        for theta_k, h_k, d_k in zip(theta.unbind(), h.unbind(), d.unbind(), strict=True):
            z = self.surrogate_function(v - theta_k)
            v = v - h_k * z
            weighted.append(d_k * z)
        return weighted

    def single_step_forward(self, x: Tensor) -> Tensor:
        gate = x if x.is_floating_point() else x.to(torch.get_default_dtype())
        first, *others = self.code(gate)
        return sum(others, first)

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        x_seq = checked_sequence(type(self).__name__, x_seq)
        if x_seq.shape[0] != self.K:
            raise ValueError(
                f"{type(self).__name__}: the table has K = {self.K} steps, the input "
                f"{x_seq.shape[0]} in shape {tuple(x_seq.shape)}"
            )
        return torch.stack(self.code(x_seq.sum(0)))

    def extra_repr(self) -> str:
        return f"K={self.K}, {super().extra_repr()}"


class OutlierAwareThresholdNode(FewSpikeNode):
    """Few-spike neuron, odd in its gate, with a second table for large magnitudes.

    No scalar recurrence: a call holds a whole code, whose steps have weights of their own.

    The magnitude of the gate goes through `table` up to `split_threshold` and through
    `outlier_table` above; the output gets the sign of the gate, so that a gate of 0 gives 0.

    Args:
        table: code of magnitudes up to `split_threshold`.
        outlier_table: code of larger ones, with the same K.
        split_threshold: magnitude that separates them, at least 0.
        clamp_value: largest magnitude, at which the gate is cut; `None` for no limit.
        surrogate_function: spike function with surrogate gradient; a new `Sigmoid()` if `None`.
        step_mode: `'s'` or `'m'`.
    """

    outlier_theta: Tensor
    outlier_h: Tensor
    outlier_d: Tensor

    def __init__(
        self,
        table: FewSpikeTable,
        outlier_table: FewSpikeTable,
        split_threshold: float,
        clamp_value: float | None = None,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        step_mode: str = "s",
    ) -> None:
        super().__init__(table, surrogate_function, step_mode)
        owner = type(self).__name__
        _checked_tables(owner, [table, outlier_table])
        self.split_threshold = checked_number(owner, "split_threshold", split_threshold)
        if not self.split_threshold >= 0:
            raise ValueError(f"{owner}: split_threshold must be at least 0, got {split_threshold}")
        self.clamp_value = None
        if clamp_value is not None:
            self.clamp_value = checked_number(owner, "clamp_value", clamp_value)
            if not (self.clamp_value > 0 and self.clamp_value >= self.split_threshold):
                raise ValueError(
                    f"{owner}: clamp_value must be positive and at least split_threshold = "
                    f"{self.split_threshold}, got {clamp_value}"
                )
        self.register_buffer("outlier_theta", outlier_table.theta.clone())
        self.register_buffer("outlier_h", outlier_table.h.clone())
        self.register_buffer("outlier_d", outlier_table.d.clone())

    def code(self, gate: Tensor) -> list[Tensor]:
        if self.clamp_value is not None:
            gate = gate.clamp(-self.clamp_value, self.clamp_value)
        sign, magnitude = gate.detach().sign(), gate.abs()
        inside = magnitude <= self.split_threshold
        normal = self.spikes(magnitude, self.theta, self.h, self.d)
        outlier = self.spikes(magnitude, self.outlier_theta, self.outlier_h, self.outlier_d)
        pairs = zip(normal, outlier, strict=True)
        return [torch.where(inside, near, far) * sign for near, far in pairs]

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, split_threshold={self.split_threshold}, "
            f"clamp_value={self.clamp_value}"
        )


class HGNode(FewSpikeNode):
    """Hierarchically gated few-spike neuron: one table for each interval of the gate.

    No scalar recurrence: a call holds a whole code, whose steps have weights of their own.

    Table 0 codes gates up to the first threshold, table i those above threshold i - 1 and up to
    threshold i, the last table those above the last threshold. A NaN goes to the last.

    Args:
        tables: the codes, one more than thresholds, all with the same K.
        gate_thresholds: where the intervals meet, increasing.
        surrogate_function: spike function with surrogate gradient; a new `Sigmoid()` if `None`.
        step_mode: `'s'` or `'m'`.
    """

    gate_thresholds: Tensor

    def __init__(
        self,
        tables: Sequence[FewSpikeTable],
        gate_thresholds: Tensor | Sequence[float],
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        step_mode: str = "s",
    ) -> None:
        if not tables:
            raise ValueError("HGNode: tables must hold at least one FewSpikeTable, got none")
        _checked_tables("HGNode", tables)
        super().__init__(tables[0], surrogate_function, step_mode)
        edges = torch.as_tensor(gate_thresholds, dtype=tables[0].theta.dtype).detach().clone()
        if edges.shape != (len(tables) - 1,):
            raise ValueError(
                f"HGNode: {len(tables)} tables need gate_thresholds of shape ({len(tables) - 1},), "
                f"got {tuple(edges.shape)}"
            )
        if not (edges[1:] > edges[:-1]).all() or edges.isnan().any():
            raise ValueError(f"HGNode: gate_thresholds must increase, got {edges.tolist()}")
        self.register_buffer("gate_thresholds", edges)
        self.register_buffer("region_theta", torch.stack([table.theta for table in tables]))
        self.register_buffer("region_h", torch.stack([table.h for table in tables]))
        self.register_buffer("region_d", torch.stack([table.d for table in tables]))

    @property
    def regions(self) -> int:
        """Number of tables."""
        return len(self.gate_thresholds) + 1

    def code(self, gate: Tensor) -> list[Tensor]:
        region = torch.bucketize(gate.detach(), self.gate_thresholds)
        tables = zip(self.region_theta, self.region_h, self.region_d, strict=True)
        first, *others = (self.spikes(gate, *table) for table in tables)
        for i, other in enumerate(others, start=1):
            chosen = region == i
            first = [torch.where(chosen, new, old) for new, old in zip(other, first, strict=True)]
        return first

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, regions={self.regions}"
