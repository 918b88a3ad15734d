"""Batches of sequences of unequal length, as torch tensors.

The only module of this package that imports torch: ``pip install 'sj-datasets[torch]'``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

try:
    import torch
except ImportError as error:
    raise ImportError(
        "sj_datasets.collate needs torch: pip install 'sj-datasets[torch]'"
    ) from error

__all__ = ["pad_sequence_collate", "padded_sequence_mask"]


def pad_sequence_collate(
    batch: Sequence[tuple[Any, Any]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Collate samples ``[T_i, *]`` to one batch, zeros after the end of each.

    Args:
        batch: N pairs (sequence, label); sequences are numpy arrays or tensors of one type whose
            shapes differ in the first dimension only.

    Returns:
        Sequences ``[N, T, *]`` with T the longest, labels ``[N]``, and lengths ``[N]``.

    Raises:
        ValueError: the batch is empty, or shapes or types do not agree.
        TypeError: a sample is no sequence of numbers.

    Example:
        >>> x, y, length = pad_sequence_collate([(np.ones((3, 2)), 0), (np.ones((1, 2)), 1)])
        >>> x.shape, y.tolist(), length.tolist()
        (torch.Size([2, 3, 2]), [0, 1], [3, 1])
    """
    if not batch:
        raise ValueError("a batch needs at least one sample")
    x_list = [_sequence(i, x) for i, (x, _) in enumerate(batch)]
    first = x_list[0]
    for i, x in enumerate(x_list):
        if x.shape[1:] != first.shape[1:] or x.dtype != first.dtype:
            raise ValueError(
                f"sample {i} is {list(x.shape)} of {x.dtype}, sample 0 is {list(first.shape)} of "
                f"{first.dtype}; all but the first dimension must agree"
            )
    padded = torch.nn.utils.rnn.pad_sequence(x_list, batch_first=True)
    return padded, _labels([y for _, y in batch]), torch.tensor([len(x) for x in x_list])


def padded_sequence_mask(sequence_len: torch.Tensor, T: int | None = None) -> torch.Tensor:
    """Which steps of a padded batch are real: bool ``[T, N]``, True where t < length.

    Args:
        sequence_len: lengths ``[N]``.
        T: number of steps; the longest length if not given.

    Raises:
        ValueError: sequence_len is not one-dimensional, or empty without T.

    Example:
        >>> padded_sequence_mask(torch.tensor([1, 3])).int().tolist()
        [[1, 1], [0, 1], [0, 1]]
    """
    lengths = torch.as_tensor(sequence_len)
    if lengths.ndim != 1 or (T is None and not len(lengths)):
        raise ValueError(f"sequence_len must be [N] with N > 0, got shape {list(lengths.shape)}")
    steps = int(lengths.max()) if T is None else T
    return torch.arange(steps, device=lengths.device)[:, None] < lengths


def _sequence(index: int, x: Any) -> torch.Tensor:
    if isinstance(x, dict):
        raise TypeError(
            f"sample {index} is a dict of events; integrate them to frames first "
            "(data_type='frame')"
        )
    array = np.ascontiguousarray(x) if isinstance(x, np.ndarray) else x
    tensor = torch.as_tensor(array)
    if tensor.ndim == 0:
        raise TypeError(f"sample {index} is a single number, expected a sequence [T, *]")
    return tensor


def _labels(labels: list[Any]) -> torch.Tensor:
    if isinstance(labels[0], (np.ndarray, torch.Tensor)):
        return torch.stack([torch.as_tensor(y) for y in labels])
    return torch.as_tensor(labels)
