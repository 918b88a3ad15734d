"""Order of the samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized

import torch
from torch.utils.data import Sampler

from .errors import DataError

__all__ = ["RepeatedAugmentationSampler"]


class RepeatedAugmentationSampler(Sampler[int]):
    """Each sample occurs ``reps`` times per pass, on different ranks, differently augmented.

    A pass has ``len(data) // 256 * 256 / world_size`` samples per rank, rounded down, so it is
    about as long as without repetition.  Berman et al., "MultiGrain: a unified image embedding
    for classes and instances", 2019.
    """

    def __init__(self, data: Sized, *, world_size: int, rank: int, seed: int, reps: int) -> None:
        if reps < 1:
            raise DataError(f"ra-reps must be at least 1, got {reps}")
        self.count = len(data)
        self.world_size = world_size
        self.rank = rank
        self.seed = seed
        self.reps = reps
        self.epoch = 0
        self.selected = self.count // 256 * 256 // world_size
        if self.selected == 0:
            raise DataError(
                f"repeated augmentation needs at least 256 training samples, got {self.count}"
            )

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(self.count, generator=generator).repeat_interleave(self.reps)
        per_rank = math.ceil(len(order) / self.world_size)
        order = torch.cat([order, order[: per_rank * self.world_size - len(order)]])
        return iter(order[self.rank :: self.world_size][: self.selected].tolist())

    def __len__(self) -> int:
        return self.selected
