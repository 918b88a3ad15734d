"""Image metrics by name: full-reference ones of this package, perceptual ones of pyiqa.

Images are ``[H, W]``, ``[C, H, W]`` or ``[B, C, H, W]`` in [0, 1], tensors or arrays; the value of
a batch is the mean over its images.  ``psnr``, ``ssim`` and ``mse`` are computed here, see
:mod:`sz_models.fidelity` for their equations and for ``zoo_compat``; the others need the extra
``metrics``, see :mod:`sz_models.perceptual`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from ._names import unknown_name
from .fidelity import Image, mse, psnr, ssim
from .perceptual import NAMES, check_perceptual, perceptual

__all__ = [
    "METRICS",
    "check_metric",
    "compute_metric",
    "mse",
    "needs_truth",
    "psnr",
    "register_metric",
    "ssim",
]


class _Metric(NamedTuple):
    compute: Callable[[Image, Image | None, bool], float]
    needs_truth: bool
    check: Callable[[], None]


METRICS: list[str] = [
    "psnr",
    "ssim",
    "lpips",
    "mse",
    "niqe",
    "brisque",
    "piqe",
    "liqe_mix",
    "clipiqa",
]
"""Names that :func:`compute_metric` takes."""


def compute_metric(
    name: str, recon: Image, truth: Image | None = None, *, zoo_compat: bool = False
) -> float:
    """Value of the metric called ``name``, one of ``METRICS``; larger is not always better.

    Args:
        name: the metric.
        recon: reconstruction, clipped to [0, 1].
        truth: the sharp image; metrics without reference ignore it.
        zoo_compat: Spike-Zoo's conventions for ``psnr``, ``ssim`` and ``mse``.

    Raises:
        ValueError: no such metric, no ``truth`` for a metric that needs one, or unfit images.
        ImportError: the library of a perceptual metric is missing or does not load.
        OSError: its weights could not be fetched.
    """
    metric = _find(name)
    if metric.needs_truth and truth is None:
        raise ValueError(f"metric {name!r} compares with a true image: pass truth")
    return metric.compute(recon, truth, zoo_compat)


def needs_truth(name: str) -> bool:
    """Whether a metric compares with a true image.

    Raises:
        ValueError: no such metric.
    """
    return _find(name).needs_truth


def check_metric(name: str) -> None:
    """Load what a metric needs, so that its absence shows before the work.

    Raises:
        ValueError: no such metric.
        ImportError: its library is missing or does not load.
        OSError: its weights could not be fetched.
    """
    _find(name).check()


def register_metric(
    name: str, compute: Callable[..., float], *, needs_truth: bool = True, replace: bool = False
) -> None:
    """Add a metric of your own to ``METRICS``.

    Args:
        name: what it is called.
        compute: function ``(recon, truth)``, or ``(recon)`` where ``needs_truth`` is False.
        needs_truth: it compares with a true image.
        replace: allow a name that is taken.

    Raises:
        ValueError: the name is taken and ``replace`` is not set.
        TypeError: ``compute`` is no function.
    """
    if not callable(compute):
        raise TypeError(f"compute must be a function of images, got {compute!r}")
    if name in METRICS and not replace:
        raise ValueError(f"there is a metric {name!r}; pass replace=True to shadow it")

    def call(recon: Image, truth: Image | None, zoo_compat: bool) -> float:
        return float(compute(recon, truth) if needs_truth else compute(recon))

    _table[name] = _Metric(call, needs_truth, lambda: None)
    if name not in METRICS:
        METRICS.append(name)


def _find(name: str) -> _Metric:
    if name not in _table:
        raise ValueError(unknown_name("metric", name, METRICS))
    return _table[name]


def _full_reference(function: Callable[..., float]) -> _Metric:
    def call(recon: Image, truth: Image | None, zoo_compat: bool) -> float:
        return function(recon, truth, zoo_compat=zoo_compat)

    return _Metric(call, True, lambda: None)


def _perceptual(name: str, needs_truth: bool) -> _Metric:
    def call(recon: Image, truth: Image | None, zoo_compat: bool) -> float:
        return perceptual(name, recon, truth)

    return _Metric(call, needs_truth, partial(check_perceptual, name))


_table: dict[str, _Metric] = {
    "psnr": _full_reference(psnr),
    "ssim": _full_reference(ssim),
    "mse": _full_reference(mse),
    **{name: _perceptual(name, with_truth) for name, with_truth in NAMES.items()},
}
