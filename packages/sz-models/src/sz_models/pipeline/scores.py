"""Metrics of a run: which can be computed, and their values."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from ..metrics import check_metric, compute_metric, needs_truth

__all__ = ["Scores", "as_text", "available_metrics"]

_log = logging.getLogger("sz_models.pipeline")


def available_metrics(names: Iterable[str]) -> list[str]:
    """Those whose library and weights are there; a line in the log for each of the others.

    Raises:
        ValueError: no such metric.
    """
    available = []
    for name in dict.fromkeys(names):
        try:
            check_metric(name)
        except (ImportError, OSError) as error:
            _log.warning("%s is left out: %s", name, error)
        else:
            available.append(name)
    return available


class Scores:
    """Values of several metrics, image by image.

    Args:
        names: metrics to compute.
        zoo_compat: Spike-Zoo's conventions.
    """

    def __init__(self, names: Sequence[str], *, zoo_compat: bool = False) -> None:
        self.names = list(names)
        self.zoo_compat = zoo_compat
        self.rows: list[dict[str, float]] = []

    def add(self, images: Tensor, truth: Tensor | None) -> None:
        """Measure ``[B, 1, H, W]``; without ``truth`` only by metrics that need none."""
        for i, image in enumerate(images):
            reference = None if truth is None else truth[i]
            self.rows.append(
                {
                    name: compute_metric(name, image, reference, zoo_compat=self.zoo_compat)
                    for name in self.names
                    if reference is not None or not needs_truth(name)
                }
            )

    def mean(self) -> dict[str, float]:
        """Arithmetic mean of each metric."""
        if not self.rows:
            return {}
        return {name: statistics.fmean(row[name] for row in self.rows) for name in self.rows[0]}


def as_text(values: Mapping[str, float]) -> str:
    """``psnr 31.6032, ssim 0.7897``."""
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items())
