"""Checkpoints within an epoch: where the training pass stands, and how it goes on from there.

A checkpoint taken after batch k holds the random states *before* the first batch, from which the
loader repeats its order, and those *after* batch k.  The k batches are skipped by their indices:
without workers, and with workers that begin each batch with random numbers of its own (see
batch_seeds).  Other workers load them once more: their random numbers go on from batch to batch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from . import distributed
from .batch_seeds import SeededBatches
from .checkpoint import Position, TrainingState, save_checkpoint
from .errors import CheckpointError

__all__ = ["ResumableLoader", "begin_pass"]

_log = logging.getLogger(__name__)


class ResumableLoader:
    """A training loader that writes checkpoints on its way and can start in the middle.

    It stands for ``loader`` in every other respect.

    Args:
        loader: the training loader.
        state: the run; a position in it, put there by a resume, is where the next pass starts.
        folder: where checkpoints go; None writes none.
        every: batches between checkpoints, 0 for none within an epoch.
        accumulate: batches per optimizer step; checkpoints fall between steps.
    """

    def __init__(
        self,
        loader: DataLoader[Any],
        state: TrainingState,
        *,
        folder: Path | None,
        every: int,
        accumulate: int = 1,
    ) -> None:
        if every < 0 or accumulate < 1:
            raise ValueError(
                f"every must be at least 0 and accumulate at least 1, got {every}, {accumulate}"
            )
        self.loader = loader
        self.state = state
        self.folder = folder
        self.every = every
        self.accumulate = accumulate
        self.sums: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return len(self.loader)

    def begin(self, sums: list[float]) -> int:
        """Number of the first batch of the coming pass.

        Args:
            sums: what the pass adds up in place, stored with each checkpoint; set to the stored
                values.
        """
        self.sums = sums
        position = self.state.position
        if position is None:
            return 0
        if len(position.sums) == len(sums):
            sums[:] = position.sums
        return self._batches_done(position)

    def __iter__(self) -> Iterator[Any]:
        position, self.state.position = self.state.position, None
        if position is None:
            done, start = 0, self.state.randomness()
            batches = iter(self.loader)
        else:
            done, start = self._batches_done(position), position.start or self.state.randomness()
            batches = self._at(position, done)
        saved = done
        length = None if isinstance(self.loader.dataset, IterableDataset) else len(self.loader)
        for batch in batches:
            yield batch
            # The caller asks for the next batch: it has finished the step on this one.
            done += 1
            # The end of the epoch writes one anyway, and a schedule wants a step before it moves.
            due = self.every and done - saved >= self.every and done != length
            if due and self.folder is not None and done % self.accumulate == 0:
                saved = done
                self._save(done, start)

    def _save(self, done: int, start: dict[str, Any]) -> None:
        assert self.folder is not None
        samples = done * (self.loader.batch_size or 1) * distributed.world_size()
        self.state.position = Position(done, samples, list(self.sums), start)
        try:
            save_checkpoint(self.state, self.folder)
        finally:
            self.state.position = None

    def _at(self, position: Position, done: int) -> Iterator[Any]:
        """The loader's batches from number ``done`` on."""
        after = self.state.randomness()
        if position.start is not None:
            self.state.set_randomness(position.start)
        if done and self._starts_anywhere():
            batches = self._started_at(done)
            if position.start is not None:
                self.state.set_randomness(after)
            return batches
        batches = iter(self.loader)
        # Asking for indices only saves the loading; every torch release so far has this method.
        by_index = getattr(batches, "_next_index", None)
        if self.loader.num_workers or isinstance(self.loader.dataset, IterableDataset):
            by_index = None
        try:
            for _ in range(done):
                next(batches) if by_index is None else by_index()
        except StopIteration:
            raise _too_few(done) from None
        if position.start is not None:
            self.state.set_randomness(after)
        return batches

    def _starts_anywhere(self) -> bool:
        """Whether workers can start at a batch without those before it."""
        loader = self.loader
        return (
            loader.num_workers > 0
            and not loader.persistent_workers
            and isinstance(loader.dataset, SeededBatches)
            and type(loader.batch_sampler) is BatchSampler
        )

    def _started_at(self, done: int) -> Iterator[Any]:
        if done > len(self.loader):
            raise _too_few(done)
        batch_sampler: Any = self.loader.batch_sampler
        whole = batch_sampler.sampler
        batch_sampler.sampler = _Rest(whole, done * batch_sampler.batch_size)
        try:
            # Workers are sent the first indices at once, so the order has begun when this returns.
            return iter(self.loader)
        finally:
            batch_sampler.sampler = whole

    def _batches_done(self, position: Position) -> int:
        per_batch = (self.loader.batch_size or 1) * distributed.world_size()
        if position.samples == position.step * per_batch:
            return position.step
        done = position.samples // per_batch // self.accumulate * self.accumulate
        _log.warning(
            "the batches have another size than in the checkpoint: going on at batch %d", done
        )
        return done


class _Rest:
    """A sampler without its first indices."""

    def __init__(self, sampler: Any, first: int) -> None:
        self.sampler = sampler
        self.first = first

    def __iter__(self) -> Iterator[int]:
        return islice(iter(self.sampler), self.first, None)

    def __len__(self) -> int:
        return len(self.sampler)


def _too_few(done: int) -> CheckpointError:
    return CheckpointError(
        f"the checkpoint was written after batch {done} of an epoch, but the training loader has "
        "fewer; resume with the data and batch size it was started with"
    )


def begin_pass(loader: Any, sums: list[float]) -> int:
    """:meth:`ResumableLoader.begin`; 0 for other loaders."""
    return loader.begin(sums) if isinstance(loader, ResumableLoader) else 0
