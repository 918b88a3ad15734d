"""Images read like sentences: row by row, column by column, or pixel by pixel."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .split import MapStyle

__all__ = ["SequentialView"]

_ORDERS = {"row": (1, 0, 2), "column": (2, 0, 1), "pixel": (1, 2, 0)}


class SequentialView:
    """An image dataset whose samples are sequences ``[T, features]``.

    ============  ==================  ========
    by            T                   features
    ============  ==================  ========
    ``"row"``     H                   C W
    ``"column"``  W                   C H
    ``"pixel"``   H W, row after row  C
    ============  ==================  ========

    Args:
        dataset: map-style dataset of pairs (image ``[C, H, W]`` or ``[H, W]``, label); images are
            numpy arrays or torch tensors.
        by: what a step is.

    Raises:
        ValueError: by is another word; or, when read, a sample is no image.

    Example:
        >>> columns = SequentialView([(np.zeros((1, 28, 28)), 7)], by="column")
        >>> columns[0][0].shape, columns[0][1]
        ((28, 28), 7)
    """

    def __init__(self, dataset: MapStyle, by: Literal["row", "column", "pixel"] = "row") -> None:
        if by not in _ORDERS:
            raise ValueError(f"by must be one of {', '.join(_ORDERS)}, got {by!r}")
        self.dataset = dataset
        self.by = by

    @property
    def targets(self) -> Any:
        """Labels as the dataset stores them."""
        return self.dataset.targets  # type: ignore[attr-defined]

    @property
    def classes(self) -> Any:
        """Class names as the dataset stores them."""
        return self.dataset.classes  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = self.dataset[index]
        shape = getattr(image, "shape", ())
        if len(shape) not in (2, 3):
            raise ValueError(
                f"sample {index} must be an image [C, H, W] or [H, W], got shape {list(shape)}"
            )
        if len(shape) == 2:
            image = image[None]
        order = _ORDERS[self.by]
        # tensors say permute
        turned = image.permute(order) if hasattr(image, "permute") else np.transpose(image, order)
        steps = turned.shape[0] * turned.shape[1] if self.by == "pixel" else turned.shape[0]
        return turned.reshape(steps, -1), label
