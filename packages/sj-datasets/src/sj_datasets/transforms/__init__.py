"""Random changes of samples, to train on more than was recorded.

A transform is called with one sample and returns a new one: events (`Events`, or the dict of
arrays that the datasets hand out) or frames ``[T, 2, H, W]`` (numpy array or torch tensor).
Transforms of events keep the container, the types and the order of time.

Randomness.  Every transform takes ``rng``: a seed, a numpy ``Generator``, or ``None`` to follow
``np.random.seed``.  Loader workers each get a stream of their own, seeded or not, and a second
run of the program gets the same ones.  Programs that run once per GPU give each its own seed.
"""

from ._random import RandomSource
from .compose import Compose
from .cutout import RandomCutout, cutout
from .drop import DropByArea, DropByCount, DropByTime, EventDrop
from .filters import Denoise, RefractoryPeriod
from .flip import RandomFlip, flip
from .jitter import SpatialJitter, TimeJitter
from .nda import NDA
from .roll import RandomRoll, roll
from .rotate import RandomRotate, rotate
from .shear import RandomShear, shear
from .temporal_delete import RandomTemporalDelete, random_temporal_delete

__all__ = [
    "NDA",
    "Compose",
    "Denoise",
    "DropByArea",
    "DropByCount",
    "DropByTime",
    "EventDrop",
    "RandomCutout",
    "RandomFlip",
    "RandomRoll",
    "RandomRotate",
    "RandomShear",
    "RandomSource",
    "RandomTemporalDelete",
    "RefractoryPeriod",
    "SpatialJitter",
    "TimeJitter",
    "cutout",
    "flip",
    "random_temporal_delete",
    "roll",
    "rotate",
    "shear",
]
