"""Checks of what encoders are called with: the values of an image, random generators."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "at_least_float32",
    "checked_generator",
    "checked_values",
    "generator_for",
    "require_floating_point",
]


def require_floating_point(owner: str, x: Tensor) -> None:
    """Refuse integer images, whose values would be far outside of [0, 1]."""
    if not x.is_floating_point():
        raise TypeError(
            f"{owner}: expected floating-point values from 0 to 1, got {x.dtype}; scale an 8-bit "
            "image with x / 255, and turn other values into numbers with x.float()"
        )


def checked_values(owner: str, x: Tensor, high: float, range_text: str, advice: str) -> Tensor:
    """`x` in at least 32 bits, enough to count steps in, if all of it is in [0, high].

    Compiled code has no place for an error that depends on values, and does not look.
    """
    require_floating_point(owner, x)
    x = at_least_float32(x.detach())
    if torch.compiler.is_compiling() or x.numel() == 0:
        return x
    if not ((x >= 0) & (x <= high)).all():
        raise ValueError(
            f"{owner}: expected values in {range_text}, got {x.min().item():.7g} to "
            f"{x.max().item():.7g}; {advice}"
        )
    return x


def at_least_float32(x: Tensor) -> Tensor:
    """`x` itself, or as float32 if it has fewer bits."""
    return x.float() if torch.finfo(x.dtype).bits < 32 else x


def checked_generator(owner: str, generator: object) -> torch.Generator | None:
    """`generator` if it is one, or `None`."""
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(
            f"{owner}: generator must be a torch.Generator or None, got {generator!r}; for a seed "
            "write torch.Generator().manual_seed(seed)"
        )
    return generator


def generator_for(
    owner: str, generator: torch.Generator | None, x: Tensor
) -> torch.Generator | None:
    """`generator` if it can draw numbers where `x` is.

    Raises:
        ValueError: it lives on another device.
    """
    if generator is not None and generator.device.type != x.device.type:
        raise ValueError(
            f"{owner}: the generator is on {generator.device} and the input on {x.device}; make "
            f"one with torch.Generator(device={str(x.device)!r}), or move the input"
        )
    return generator
