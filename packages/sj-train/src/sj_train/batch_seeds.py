"""Random numbers of loader workers, begun anew for every batch.

seed of a batch = hash(seed that the loader drew for its workers, indices of the batch)

What a batch looks like then depends on no batch before it: a resumed run starts in the middle of
an epoch without loading what comes before, and with any number of workers.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import Dataset, get_worker_info

from .seeding import numpy_random

__all__ = ["SeededBatches"]


class SeededBatches(Dataset[Any]):
    """``dataset`` for a loader with workers; it stands for it in every other respect.

    Batches of the same samples within an epoch (a sampler with replacement, one sample per batch)
    are alike.

    Args:
        dataset: has ``__len__`` and ``__getitem__``.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """The samples of one batch, as loaders ask for them."""
        worker = get_worker_info()
        if worker is not None:
            _seed(worker.seed - worker.id, indices)
        many = getattr(self.dataset, "__getitems__", None)
        return [self.dataset[index] for index in indices] if many is None else many(indices)

    def __getattr__(self, name: str) -> Any:
        if name == "dataset":  # not there yet, while it is unpickled
            raise AttributeError(name)
        return getattr(self.dataset, name)


def _seed(base: int, indices: Sequence[int]) -> None:
    text = repr((base, [int(index) for index in indices]))
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1
    random.seed(seed)
    torch.default_generator.manual_seed(seed)  # a worker has no other device
    if (numpy := numpy_random()) is not None:
        numpy.seed(seed % 2**32)
