"""The two common kinds of event datasets: published in two parts, or in one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Unpack

from .folder import FolderOptions, NeuromorphicDatasetFolder

__all__ = ["TrainTestFolder", "UnsplitFolder"]


class TrainTestFolder(NeuromorphicDatasetFolder):
    """A dataset published as training and test samples; ``train`` chooses.

    Arguments, attributes and errors are those of :class:`NeuromorphicDatasetFolder`.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "test")

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        data_type: str = "event",
        frames_number: int | None = None,
        split_by: str | None = None,
        duration: int | None = None,
        custom_integrate_function: Callable[..., Any] | None = None,
        custom_integrated_frames_dir_name: str | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        **options: Unpack[FolderOptions],
    ) -> None:
        super().__init__(
            root, train, data_type, frames_number, split_by, duration, custom_integrate_function,
            custom_integrated_frames_dir_name, transform, target_transform, **options,
        )  # fmt: skip


class UnsplitFolder(NeuromorphicDatasetFolder):
    """A dataset published as one set of samples; see :func:`sj_datasets.split_to_train_test_set`.

    Arguments, attributes and errors are those of :class:`NeuromorphicDatasetFolder`, without
    ``train``.
    """

    def __init__(
        self,
        root: str | Path,
        data_type: str = "event",
        frames_number: int | None = None,
        split_by: str | None = None,
        duration: int | None = None,
        custom_integrate_function: Callable[..., Any] | None = None,
        custom_integrated_frames_dir_name: str | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        **options: Unpack[FolderOptions],
    ) -> None:
        super().__init__(
            root, None, data_type, frames_number, split_by, duration, custom_integrate_function,
            custom_integrated_frames_dir_name, transform, target_transform, **options,
        )  # fmt: skip
