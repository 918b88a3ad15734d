"""The set of augmentations for event data by Li et al.

Li et al., "Neuromorphic Data Augmentation for Training Spiking Neural Networks", 2022: a mirror
image with probability one half, then a few of: roll, rotate, cut out, shear.
"""

from __future__ import annotations

import math

import numpy as np

from ._random import Rng
from ._samples import Sample, SensorSize, Transform
from .cutout import RandomCutout
from .flip import RandomFlip
from .roll import RandomRoll
from .rotate import RandomRotate
from .shear import RandomShear

__all__ = ["NDA"]

_ROLL_PIXELS = (3, 5, 7)
_ROTATE_DEGREES = (15, 30, 45)
_CUTOUT_PIXELS = (8, 16, 24)
_SHEAR_DEGREES = (15, 30, 45)


class NDA(Transform):
    """Flip left-right with probability one half, then ``count`` different geometric changes.

    =========  ============  ===============  ===============  ==============
    magnitude  roll, pixels  rotate, degrees  cut out, pixels  shear, degrees
    =========  ============  ===============  ===============  ==============
    1          3             15               8                15
    2          5             30               16               30
    3          7             45               24               45
    =========  ============  ===============  ===============  ==============

    These are the largest values; the pixels are meant for frames of 48 x 48.  The authors took
    magnitude 1 for N-Caltech101 and 2 for CIFAR10-DVS.

    Args:
        magnitude: strength, 1..3.
        count: how many of the four are applied, 0..4, in random order.
        flip: whether to mirror at all; digits and letters do not stand it.
        sensor_size: rows and columns, for events that do not carry it.
        rng: seed, generator or ``None``; see :mod:`sj_datasets.transforms`.

    Raises:
        ValueError: magnitude or count is out of range.

    Example:
        >>> frames = np.ones((4, 2, 48, 48), np.float32)
        >>> NDA(magnitude=1, count=2, rng=0)(frames).shape
        (4, 2, 48, 48)
    """

    def __init__(
        self,
        magnitude: int = 1,
        count: int = 1,
        *,
        flip: bool = True,
        sensor_size: SensorSize = None,
        rng: Rng = None,
    ) -> None:
        super().__init__(rng=rng)
        if magnitude not in (1, 2, 3):
            raise ValueError(f"magnitude must be 1, 2 or 3, got {magnitude}")
        self.magnitude, self.count = magnitude, count
        level = magnitude - 1
        self.flip = RandomFlip("horizontal", 0.5 if flip else 0.0, sensor_size=sensor_size)
        self.choices: tuple[Transform, ...] = (
            RandomRoll(_ROLL_PIXELS[level], sensor_size=sensor_size),
            RandomRotate(_ROTATE_DEGREES[level], sensor_size=sensor_size),
            RandomCutout(_CUTOUT_PIXELS[level], sensor_size=sensor_size),
            RandomShear(math.tan(math.radians(_SHEAR_DEGREES[level])), sensor_size=sensor_size),
        )
        if not 0 <= count <= len(self.choices):
            raise ValueError(f"count must be 0..{len(self.choices)}, got {count}")

    def apply(self, sample: Sample, rng: np.random.Generator) -> Sample:
        sample = self.flip.apply(sample, rng)
        for choice in rng.choice(len(self.choices), self.count, replace=False):
            sample = self.choices[choice].apply(sample, rng)
        return sample

    def __repr__(self) -> str:
        return f"NDA(magnitude={self.magnitude}, count={self.count})"
