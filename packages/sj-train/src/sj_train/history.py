"""What a run measured, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["History"]


@dataclass
class History:
    """Scalars of every finished epoch, under their TensorBoard tags.

    Attributes:
        epochs: numbers of the finished epochs.
        scalars: tag -> one value per entry of ``epochs``.

    Example:
        >>> history = History()
        >>> history.add(0, {"train_loss": 0.7})
        >>> history["train_loss"], history.last
        ([0.7], {'train_loss': 0.7})
    """

    epochs: list[int] = field(default_factory=list)
    scalars: dict[str, list[float]] = field(default_factory=dict)

    def add(self, epoch: int, row: dict[str, float]) -> None:
        if self.epochs and set(row) != set(self.scalars):
            raise ValueError(
                f"epoch {epoch} has the tags {sorted(row)}, earlier ones {sorted(self.scalars)}"
            )
        self.epochs.append(epoch)
        for tag, value in row.items():
            self.scalars.setdefault(tag, []).append(value)

    def __getitem__(self, tag: str) -> list[float]:
        return self.scalars[tag]

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def last(self) -> dict[str, float]:
        """The scalars of the newest epoch; empty before the first."""
        return {tag: values[-1] for tag, values in self.scalars.items()}
