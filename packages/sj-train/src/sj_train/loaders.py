"""Transforms, samplers and loaders that the Trainer's options describe."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    default_collate,
)

from . import distributed
from .batch_seeds import SeededBatches
from .errors import ClassCountError, DataError, OptionError
from .mix import MixCollate
from .samplers import RepeatedAugmentationSampler
from .seeding import seed_worker
from .transforms import EvalTransform, Statistics, TrainTransform

__all__ = ["build_loaders", "build_samplers", "build_transforms", "count_classes"]


def build_transforms(
    args: argparse.Namespace, statistics: Statistics
) -> tuple[TrainTransform, EvalTransform]:
    train = TrainTransform(
        crop_size=args.train_crop_size,
        interpolation=args.interpolation,
        policy=None if args.auto_augment in (None, "none") else args.auto_augment,
        erase=args.random_erase,
        statistics=statistics,
    )
    test = EvalTransform(
        resize_size=args.val_resize_size,
        crop_size=args.val_crop_size,
        interpolation=args.interpolation,
        statistics=statistics,
    )
    return train, test


def build_samplers(
    args: argparse.Namespace, dataset: Any, dataset_test: Any
) -> tuple[Sampler[int], Sampler[int]]:
    """Shuffled training order from ``args.seed``, plain test order; split over ranks."""
    if not args.distributed:
        if args.ra_sampler:
            raise OptionError("argument --ra-sampler: needs several processes (torchrun)")
        generator = torch.Generator().manual_seed(args.seed)
        return RandomSampler(dataset, generator=generator), SequentialSampler(dataset_test)
    world, rank = distributed.world_size(), distributed.rank()
    test = DistributedSampler(dataset_test, world, rank, shuffle=False)
    if args.ra_sampler:
        train: Sampler[int] = RepeatedAugmentationSampler(
            dataset,
            world_size=world,
            rank=rank,
            seed=args.seed,
            reps=args.ra_reps,
        )
    else:
        train = DistributedSampler(dataset, world, rank, seed=args.seed)
    return train, test


def count_classes(dataset: Any, dataset_test: Any) -> int:
    """Number of classes, from the ``classes`` of the data sets, which must agree."""
    classes = getattr(dataset, "classes", None)
    if classes is None:
        raise DataError(
            f"{type(dataset).__name__} has no attribute 'classes'; load_data must return data "
            "sets that list their classes"
        )
    tested = getattr(dataset_test, "classes", classes)
    if list(tested) != list(classes):
        only = sorted({str(c) for c in classes} ^ {str(c) for c in tested})
        named = f"; not in both: {', '.join(only[:3])}" if only else " in another order"
        raise ClassCountError(
            f"the training data have {len(classes)} classes, the test data {len(tested)}{named}"
        )
    return len(classes)


def build_loaders(
    args: argparse.Namespace,
    datasets: tuple[Dataset[Any], Dataset[Any]],
    samplers: tuple[Sampler[int], Sampler[int]],
    num_classes: int,
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Training loader, mixed as the options say, and test loader."""
    train_count = _count(datasets[0], samplers[0])
    if _count(datasets[1], samplers[1]) == 0:
        raise DataError("the test set has no samples")
    if train_count is not None and train_count < args.batch_size and not args.test_only:
        raise DataError(
            f"the training set has {train_count} samples per process, less than one batch of "
            f"{args.batch_size}; lower --batch-size"
        )
    collate: Callable[[list[Any]], Any] = default_collate
    if max(args.mixup_alpha, args.cutmix_alpha, args.eventmix_alpha) > 0:
        collate = MixCollate(
            num_classes,
            mixup_alpha=args.mixup_alpha,
            cutmix_alpha=args.cutmix_alpha,
            eventmix_alpha=args.eventmix_alpha,
        )
    shared: dict[str, Any] = {
        "batch_size": args.batch_size,
        "num_workers": args.workers,
        "pin_memory": not args.disable_pinmemory and str(args.device).startswith("cuda"),
        "worker_init_fn": seed_worker,
    }
    if args.workers > 0:
        shared["prefetch_factor"] = args.prefetch_factor
        shared["persistent_workers"] = args.persistent_workers
    trained = datasets[0]
    seeded = not args.persistent_workers and not isinstance(trained, IterableDataset)
    if args.workers > 0 and seeded:
        # Workers that stay would draw the same for a batch that comes again.
        trained = SeededBatches(trained)
    train = DataLoader(trained, sampler=samplers[0], collate_fn=collate, **shared)
    return train, DataLoader(datasets[1], sampler=samplers[1], **shared)


def _count(dataset: Any, sampler: Any) -> int | None:
    """Samples of a pass on this process; None where nobody knows."""
    if isinstance(dataset, IterableDataset):
        if sampler is not None:
            raise DataError(
                f"{type(dataset).__name__} gives its samples in its own order: load_data must "
                "return None in place of its sampler"
            )
        return None
    if sampler is None:
        raise DataError(
            f"load_data returned no sampler for {type(dataset).__name__}; "
            "sj_train.loaders.build_samplers makes them"
        )
    try:
        return len(sampler)
    except (TypeError, NotImplementedError):
        return None
