"""The data sets of sj-datasets by name, as a training and a test set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import DataError
from ..extras import require
from .command import data_errors

__all__ = ["IMAGE_SETS", "is_image_set", "named_pair"]

IMAGE_SETS = ("MNIST", "FashionMNIST", "CIFAR10")
_TRAIN_SHARES = (0.9, 0.5)  # of data sets without a split; the second for a few samples


def is_image_set(name: str) -> bool:
    """Whether ``name`` holds images; the others hold recordings of events or sound."""
    return name in IMAGE_SETS


def named_pair(name: str, arguments: Mapping[str, Any], *, seed: int = 0) -> tuple[Any, Any]:
    """Training and test set, both with an attribute ``classes``.

    Data sets without splits are split class by class, nine parts to one.

    Args:
        name: of the class in sj_datasets.
        arguments: ``root`` and whatever else the class takes.
        seed: chooses the samples where there is no split.

    Raises:
        DataError: no such data set, the files are missing or damaged, or an unknown argument.
    """
    datasets = require("sj_datasets", "recipes")
    with data_errors():
        dataset = datasets.dataset_class(name)
        splits = dataset.split_arguments()
        try:
            sets = [dataset(**arguments, **splits[i]) for i in sorted({0, len(splits) - 1})]
        except TypeError as error:
            raise DataError(f"{name}: {error}") from error
        if len(sets) == 2:
            return sets[0], sets[1]
        classes = sets[0].classes
        train, test = (), ()
        for share in _TRAIN_SHARES:
            train, test = datasets.split_to_train_test_set(
                share, sets[0], len(classes), random_split=True, seed=seed
            )
            if len(test):
                break
        else:
            raise DataError(f"{name} has one sample per class: too few to split")
    train.classes = test.classes = classes
    return train, test
