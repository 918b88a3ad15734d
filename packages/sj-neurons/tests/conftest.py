"""An independent oracle: a neuron's equations unrolled under autograd in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor


class Oracle:
    """Compares a neuron with its equations, written anew in the test."""

    @staticmethod
    def spike(u: Tensor) -> Tensor:
        """A spike with the gradient of ATan(alpha=2): the smooth curve, lifted to 0 or 1."""
        smooth = torch.atan(math.pi * u) / math.pi + 0.5
        return smooth + ((u >= 0).to(u) - smooth).detach()

    @staticmethod
    def reset(h: Tensor, spike: Tensor, v_threshold: Any, v_reset: float | None) -> Tensor:
        if v_reset is None:
            return h - spike * v_threshold
        return spike * v_reset + (1 - spike) * h

    @staticmethod
    def x_seq(*shape: int, low: float = -2.0, high: float = 3.0) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)

    @staticmethod
    def compare(
        node: Any,
        step: Callable[..., tuple[Tensor, ...]],
        initial: Sequence[float],
        x: Tensor,
    ) -> None:
        """Outputs, potentials and gradients of an 'm' node against `step(x, *states)`.

        The node must be a float64 one with ATan(2) and `store_v_seq`.
        """
        x = x.clone().requires_grad_(True)
        weight = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)).to(x)
        inputs = (x, *node.parameters())
        y = node(x)
        assert y.unique().numel() > 1  # a silent neuron proves little
        loss = (y * weight).sum() + (node.v_seq * weight.flip(0)).sum()
        ours = torch.autograd.grad(loss, inputs)

        states = [torch.full_like(x[0], value) for value in initial]
        outputs, potentials = [], []
        for x_t in x:
            out, *states = step(x_t, *states)
            outputs.append(out)
            potentials.append(states[0])
        torch.testing.assert_close(y, torch.stack(outputs), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(node.v_seq, torch.stack(potentials), rtol=1e-12, atol=1e-12)
        total = (torch.stack(outputs) * weight).sum()
        total = total + (torch.stack(potentials) * weight.flip(0)).sum()
        for mine, reference in zip(ours, torch.autograd.grad(total, inputs), strict=True):
            torch.testing.assert_close(mine, reference, rtol=1e-9, atol=1e-9)


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()
