"""Spike trains of many units integrated to frames ``[T, W]``, one file per sample.

Times are seconds, stored as float16; all arithmetic is in float64.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cache import as_type, save_frames
from .config import BuildOptions, NeuromorphicDatasetConfig
from .formats.spike_trains import SpikeTrainFile
from .frames import integrate_spikes_by_fixed_duration, integrate_spikes_by_fixed_frames_number
from .workers import run_parallel

__all__ = [
    "SampleEvents",
    "SampleFrames",
    "SpikeIntegrator",
    "build_spike_frames",
    "build_with_own_files",
    "writes_its_own_files",
]

_log = logging.getLogger(__name__)

_CHUNK = 32  # samples per job
_SUFFIXES = (".npy", ".npz")


@dataclass(frozen=True)
class SpikeIntegrator:
    """Frames ``[T, W]`` of one spike train, as a configuration asks.

    Args:
        cfg: ``frames_number`` and ``split_by``, or ``duration`` in milliseconds, or a function
            ``f(events, H, W)``, which gets times in float64 seconds and ``H = None``.
        W: number of units.
    """

    cfg: NeuromorphicDatasetConfig
    W: int

    def __call__(self, t: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
        seconds, x = _in_order(t.astype(np.float64), x)
        cfg = self.cfg
        if cfg.frames_number is not None:
            return integrate_spikes_by_fixed_frames_number(
                seconds, x, str(cfg.split_by), cfg.frames_number, self.W
            )
        if cfg.duration is not None:
            return integrate_spikes_by_fixed_duration(1000 * seconds, x, cfg.duration, self.W)
        function = cfg.custom_integrate_function
        if function is None:
            raise ValueError("no frames_number, duration or custom_integrate_function is given")
        return np.asarray(function({"t": seconds, "x": x}, None, self.W))


@dataclass(frozen=True)
class SampleEvents:
    """Loads sample i as a dict of t (seconds) and x (units), both ``[N]``, as stored."""

    trains: SpikeTrainFile

    def __call__(self, index: int) -> dict[str, NDArray[Any]]:
        t, x = self.trains[index]
        return {"t": t, "x": x}


@dataclass(frozen=True)
class SampleFrames:
    """Integrates sample i at every access."""

    trains: SpikeTrainFile
    integrate: SpikeIntegrator
    dtype: np.dtype[Any]

    def __call__(self, index: int) -> NDArray[Any]:
        return as_type(self.integrate(*self.trains[index]), self.dtype, self.trains.path)


@dataclass(frozen=True)
class _FrameMaker:
    """Job of a worker process: some samples to one file each."""

    trains: SpikeTrainFile
    integrate: SpikeIntegrator
    target: Path

    def __call__(self, indices: list[int]) -> None:
        try:
            for index in indices:
                try:
                    frames = self.integrate(*self.trains[index])
                except Exception as error:
                    error.add_note(f"while integrating sample {index} of {self.trains.path}")
                    raise
                save_frames(self.target / str(self.trains.labels[index]) / f"{index}.npy", frames)
        finally:
            self.trains.close()


def build_spike_frames(
    trains: SpikeTrainFile, integrate: SpikeIntegrator, target: Path, options: BuildOptions
) -> None:
    """Write ``<label>/<index>.npy`` below ``target`` for every sample that is not there yet."""
    done = _make_class_folders(trains, target)
    missing = [i for i in range(len(trains)) if i not in done]
    _log.info("integrating %d samples of %s into %s", len(missing), trains.path, target)
    run_parallel(
        _FrameMaker(trains, integrate, target),
        [missing[k : k + _CHUNK] for k in range(0, len(missing), _CHUNK)],
        workers=options.workers,
        progress=options.progress,
        description=f"{target.parent.name} {target.name}",
    )


def writes_its_own_files(function: Callable[..., Any] | None) -> bool:
    """Whether a custom function has the older form ``f(h5_file, i, output_dir, W)``."""
    if function is None:
        return False
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in positional and p.default is p.empty]
    return len(needed) == 4


def build_with_own_files(
    trains: SpikeTrainFile, function: Callable[..., Any], target: Path, W: int
) -> None:
    """Call ``function(h5_file, i, output_dir, W)`` for every sample.

    It writes one file into the folder ``<label>`` of ``output_dir``.

    Raises:
        ValueError: fewer files than samples are there in the end.
    """
    import h5py

    _make_class_folders(trains, target)
    with h5py.File(trains.path, "r") as file:
        for index in range(len(trains)):
            function(file, index, os.fspath(target), W)
    written = sum(len(_samples_in(folder)) for folder in target.iterdir())
    if written < len(trains):
        raise ValueError(
            f"custom_integrate_function left {written} files in {target} for {len(trains)} "
            "samples; it must save one .npz with the array 'frames' per sample in "
            "output_dir/<label>, or take (events, H, W) and return the frames"
        )


def _make_class_folders(trains: SpikeTrainFile, target: Path) -> set[int]:
    """Folders of all labels; returns the samples that are there."""
    done: set[int] = set()
    for label in sorted(set(trains.labels.tolist())):
        folder = target / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        stems = (name.rpartition(".")[0] for name in _samples_in(folder))
        done.update(int(stem) for stem in stems if stem.isdecimal())
    return done


def _samples_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    names = os.listdir(folder)
    return [name for name in names if name.endswith(_SUFFIXES) and not name.startswith(".")]


def _in_order(t: NDArray[Any], x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    if np.all(t[1:] >= t[:-1]):
        return t, x
    order = np.argsort(t, kind="stable")
    return t[order], x[order]
