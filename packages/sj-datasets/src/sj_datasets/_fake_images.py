"""Pictures of digits, for synthetic copies of image datasets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["fake_digits"]

# segments of a seven-segment display as (top, left, bottom, right) of a 7 x 4 grid
_SEGMENTS = {
    "a": (0, 0, 1, 4), "b": (0, 3, 4, 4), "c": (3, 3, 7, 4), "d": (6, 0, 7, 4),
    "e": (3, 0, 7, 1), "f": (0, 0, 4, 1), "g": (3, 0, 4, 4),
}  # fmt: skip
_DIGITS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")


def fake_digits(
    labels: NDArray[np.integer], side: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Images ``[N, side, side]`` of the digits ``labels``: shifted, dimmed and noisy."""
    glyphs = np.stack([_glyph(digit, side) for digit in range(10)])
    images = np.zeros((len(labels), side, side), np.float32)
    height, width = glyphs.shape[1:]
    for image, label in zip(images, labels, strict=True):
        top, left = (int(rng.integers(0, side - extent + 1)) for extent in (height, width))
        image[top : top + height, left : left + width] = glyphs[label]
    images *= rng.uniform(0.6, 1.0, (len(labels), 1, 1)).astype(np.float32)
    images += rng.uniform(0, 0.15, images.shape).astype(np.float32)
    return (np.clip(images, 0, 1) * 255).astype(np.uint8)


def _glyph(digit: int, side: int) -> NDArray[np.float32]:
    small = np.zeros((7, 4), np.float32)
    for segment in _DIGITS[digit]:
        top, left, bottom, right = _SEGMENTS[segment]
        small[top:bottom, left:right] = 1
    scale = side // 9
    return np.kron(small, np.ones((scale, scale), np.float32))
