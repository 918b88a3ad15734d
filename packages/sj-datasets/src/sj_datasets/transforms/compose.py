"""Transforms one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["Compose"]


class Compose:
    """Apply transforms in order.

    Args:
        transforms: functions of one sample.

    Raises:
        TypeError: one of them cannot be called.

    Example:
        >>> Compose([abs, float])(-3)
        3.0
    """

    def __init__(self, transforms: Iterable[Callable[[Any], Any]]) -> None:
        self.transforms = tuple(transforms)
        for transform in self.transforms:
            if not callable(transform):
                raise TypeError(f"a transform must be callable, got {transform!r}")

    def __call__(self, sample: Any) -> Any:
        for transform in self.transforms:
            sample = transform(sample)
        return sample

    def __repr__(self) -> str:
        return f"Compose({list(self.transforms)!r})"
