"""What a run measured, epoch by epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

__all__ = ["History"]


@dataclass
class History:
    """Scalars of every finished epoch, under their TensorBoard tags.

    Attributes:
        epochs: numbers of the finished epochs.
        scalars: tag -> one value per entry of ``epochs``; NaN where an epoch lacks it.

    Example:
        >>> history = History()
        >>> history.add(0, {"train_loss": 0.7})
        >>> history["train_loss"], history.last
        ([0.7], {'train_loss': 0.7})
    """

    epochs: list[int] = field(default_factory=list)
    scalars: dict[str, list[float]] = field(default_factory=dict)

    def add(self, epoch: int, row: dict[str, float]) -> None:
        """Note the scalars of an epoch.

        Tags may come and go: a run goes on with an averaged model or without.
        """
        for tag in row:
            self.scalars.setdefault(tag, [math.nan] * len(self.epochs))
        self.epochs.append(epoch)
        for tag, values in self.scalars.items():
            values.append(row.get(tag, math.nan))

    def __getitem__(self, tag: str) -> list[float]:
        return self.scalars[tag]

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def last(self) -> dict[str, float]:
        """The scalars of the newest epoch; empty before the first."""
        return {tag: values[-1] for tag, values in self.scalars.items()}
