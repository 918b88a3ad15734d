"""Batches of a spike-camera dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from sj_datasets.spike_camera import BaseDataset

__all__ = ["LoaderConfig", "build_dataloader"]

TRAIN_MODE = "train_mode"


class LoaderConfig(Protocol):
    """What :func:`build_dataloader` reads; for training also ``bs_train`` and ``nw_train``."""

    bs_test: int
    nw_test: int
    pin_memory: bool
    _mode: str


def build_dataloader(dataset: BaseDataset, cfg: LoaderConfig) -> DataLoader[dict[str, Any]]:
    """Loader of a dataset whose split is built.

    Batches are dicts: ``spike`` float32 ``[B, T, H, W]``, ``gt_img`` float32 ``[B, 1, H, W]``,
    ``rate`` ``[B]``.  The training split of a config in ``train_mode`` is shuffled and takes
    ``bs_train`` and ``nw_train``; everything else keeps its order and takes ``bs_test`` and
    ``nw_test``.

    Raises:
        ValueError: a batch size or a number of workers that is none; while iterating, streams of
            different shapes in one batch.
        RuntimeError: the split is not built.
    """
    if not dataset.split:
        raise RuntimeError(f"{type(dataset).__name__}: call build_source(split) first")
    train = dataset.split == "train" and cfg._mode == TRAIN_MODE
    part = "train" if train else "test"
    batch_size, workers = getattr(cfg, f"bs_{part}"), getattr(cfg, f"nw_{part}")
    if batch_size < 1 or workers < 0:
        raise ValueError(
            f"bs_{part} must be at least 1 and nw_{part} at least 0, got {batch_size} and {workers}"
        )
    return DataLoader(
        cast("Dataset[dict[str, Any]]", dataset),
        batch_size=batch_size,
        shuffle=train,
        num_workers=workers,
        pin_memory=cfg.pin_memory and torch.cuda.is_available(),
        collate_fn=_collate,
    )


def _collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    for key in ("spike", "gt_img"):
        shapes = sorted({tuple(sample[key].shape) for sample in samples})
        if len(shapes) > 1:
            raise ValueError(
                f"{key} differs in shape within a batch: {', '.join(map(str, shapes))}; load one "
                "sample at a time, or set spike_length_test or spike_length_train"
            )
    batch = default_collate(list(samples))
    batch["rate"] = batch["rate"].float()
    return batch
