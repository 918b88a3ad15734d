"""Full-reference image metrics with images in [0, 1].

    MSE  = mean((a - b)^2)
    PSNR = 10 log10(1 / MSE), inf for equal images
    SSIM = mean of (2 ma mb + C1)(2 cab + C2) / ((ma^2 + mb^2 + C1)(va + vb + C2)) over all places
           where the window fits; Gaussian window sigma 1.5 (11 x 11), population covariance,
           C1 = 0.01^2, C2 = 0.03^2 (Wang et al., IEEE TIP 2004)

Images are ``[H, W]``, ``[C, H, W]`` or ``[B, C, H, W]``, tensors or arrays; the value of a batch is
the mean over its images.  Nothing is clipped: clip reconstructions to [0, 1] first.

``zoo_compat=True`` reproduces Spike-Zoo's numbers: images are mapped to clip(2x - 1, -1, 1), so MSE
is 4 times larger; PSNR takes the range 2, or 1 where no reconstructed pixel is below 0.5 (6 dB too
low); SSIM uses a uniform 7 x 7 window, sample covariance and the range 2.
"""

from __future__ import annotations

import math

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Image", "image_pair", "mse", "psnr", "ssim"]

Image = Tensor | ArrayLike


def mse(recon: Image, truth: Image, *, zoo_compat: bool = False) -> float:
    """Mean squared error; see the module for shapes and ``zoo_compat``."""
    a, b = image_pair(recon, truth, zoo_compat)
    return float((a - b).square().mean())


def psnr(recon: Image, truth: Image, *, zoo_compat: bool = False) -> float:
    """Peak signal-to-noise ratio in dB; see the module for shapes and ``zoo_compat``."""
    a, b = image_pair(recon, truth, zoo_compat)
    values = []
    for one, other in zip(a, b, strict=True):
        error = float((one - other).square().mean())
        data_range = 2.0 if zoo_compat and float(one.min()) < 0 else 1.0
        values.append(10 * math.log10(data_range**2 / error) if error > 0 else math.inf)
    return sum(values) / len(values)


def ssim(recon: Image, truth: Image, *, zoo_compat: bool = False) -> float:
    """Structural similarity; see the module for shapes and ``zoo_compat``.

    Raises:
        ValueError: shapes differ, or the images are smaller than the window.
    """
    a, b = image_pair(recon, truth, zoo_compat)
    if zoo_compat:
        taps, data_range = torch.full((7,), 1 / 7, dtype=torch.float64), 2.0
        correction = 49 / 48
    else:
        x = torch.arange(-5, 6, dtype=torch.float64)
        taps, data_range, correction = torch.exp(-0.5 * (x / 1.5) ** 2), 1.0, 1.0
        taps = taps / taps.sum()
    if min(a.shape[-2:]) < len(taps):
        raise ValueError(
            f"SSIM needs images of at least {len(taps)}x{len(taps)} pixels, got "
            f"{a.shape[-2]}x{a.shape[-1]}"
        )
    taps = taps.to(a.device)
    mean_a, mean_b = _filter(a, taps), _filter(b, taps)
    var_a = correction * (_filter(a * a, taps) - mean_a * mean_a)
    var_b = correction * (_filter(b * b, taps) - mean_b * mean_b)
    cov = correction * (_filter(a * b, taps) - mean_a * mean_b)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    similarity = ((2 * mean_a * mean_b + c1) * (2 * cov + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    )
    return float(similarity.mean())


def image_pair(recon: Image, truth: Image, zoo_compat: bool = False) -> tuple[Tensor, Tensor]:
    """Both images as float64 ``[B, C, H, W]``, mapped to [-1, 1] with ``zoo_compat``.

    Raises:
        ValueError: shapes differ, or are no shapes of images.
    """
    a, b = (torch.as_tensor(image).detach().to(torch.float64) for image in (recon, truth))
    if a.shape != b.shape:
        raise ValueError(f"images differ in shape: {list(a.shape)} and {list(b.shape)}")
    if a.ndim not in (2, 3, 4) or a.numel() == 0:
        raise ValueError(f"images must be [H, W], [C, H, W] or [B, C, H, W], got {list(a.shape)}")
    a, b = a.reshape((1,) * (4 - a.ndim) + a.shape), b.reshape((1,) * (4 - b.ndim) + b.shape)
    b = b.to(a.device)
    if zoo_compat:
        a, b = (2 * a - 1).clamp(-1, 1), (2 * b - 1).clamp(-1, 1)
    return a, b


def _filter(images: Tensor, taps: Tensor) -> Tensor:
    """Separable filter over the places where the window fits."""
    flat = images.reshape(-1, 1, *images.shape[-2:])
    rows = F.conv2d(flat, taps.view(1, 1, -1, 1))
    return F.conv2d(rows, taps.view(1, 1, 1, -1))
