"""From events on disk to the samples that a dataset hands out, one builder per kind of sample."""

from __future__ import annotations

import abc
import functools
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .cache import FrameLoader, as_type, load_events, save_frames
from .config import BuildOptions, NeuromorphicDatasetConfig
from .manifest import Manifest, function_hash
from .ordering import in_time_order
from .tree import SampleTree, without_count
from .workers import run_parallel

__all__ = [
    "EventBuilder",
    "FrameCustomIntegrateBuilder",
    "FrameFixedDurationBuilder",
    "FrameFixedNumberBuilder",
    "NeuromorphicDatasetBuilder",
]

_log = logging.getLogger(__name__)

Loader = Callable[[Path], Any]


class EventReader(Protocol):
    """What a builder needs to know of a dataset class."""

    @classmethod
    def dataset_name(cls) -> str: ...

    @classmethod
    def load_events(cls, path: Path) -> dict[str, NDArray[Any]]: ...


class PlainEvents:
    """Events as :func:`sj_datasets.cache.load_events` reads them."""

    @classmethod
    def dataset_name(cls) -> str:
        return ""

    @classmethod
    def load_events(cls, path: Path) -> dict[str, NDArray[Any]]:
        return load_events(path)


class NeuromorphicDatasetBuilder(abc.ABC):
    """Makes the tree of samples that a configuration asks for, and says how to load one.

    Args:
        cfg: what is asked for.
        raw_root: tree of events.

    Attributes, which the dataset sets:
        split: folder below the trees that is built, ``""`` for all.
        dataset: class that reads the events.
        options: cache, type, worker processes, progress.
        reads_events: whether samples are loaded from ``raw_root``.
        counts_in_names: whether names of samples end in their number of frames.
    """

    reads_events = False
    counts_in_names = False

    def __init__(self, cfg: NeuromorphicDatasetConfig, raw_root: Path) -> None:
        self.cfg = cfg
        self.raw_root = raw_root
        self.split = ""
        self.dataset: type[EventReader] = PlainEvents
        self.options = BuildOptions()

    @property
    @abc.abstractmethod
    def processed_root(self) -> Path:
        """Tree that holds the samples."""

    @property
    def tree(self) -> SampleTree:
        return SampleTree(self.processed_root, self.manifest())

    def manifest(self) -> Manifest:
        """What the manifest of the finished tree says, without its splits."""
        return Manifest(self.dataset.dataset_name(), {"kind": type(self).__name__})

    def is_complete(self) -> bool:
        """Whether the samples of the split are all there."""
        return self.tree.is_complete(self.split)

    def build(self) -> tuple[Path, Loader]:
        """Make the samples that are missing; returns the tree and the loader of one sample."""
        if not self.is_complete():
            self.tree.begin()
            self.build_impl()
            self.tree.finish(self.split)
        return self.processed_root, self.get_loader()

    def build_impl(self) -> None:
        """Write the samples of :attr:`split` below :attr:`processed_root`."""
        raise NotImplementedError(f"{type(self).__name__} must define build_impl")

    @abc.abstractmethod
    def get_loader(self) -> Loader:
        """Function that loads the sample of a path."""


class EventBuilder(NeuromorphicDatasetBuilder):
    """Samples are the events themselves; nothing is built."""

    @property
    def processed_root(self) -> Path:
        return self.raw_root

    reads_events = True

    def is_complete(self) -> bool:
        return True

    def get_loader(self) -> Loader:
        return self.dataset.load_events


class FrameBuilder(NeuromorphicDatasetBuilder):
    """Frames ``[T, 2, H, W]`` of every sample, cached, or made at every access.

    Args:
        cfg: what is asked for.
        raw_root: tree of events.
        H: rows of the sensor.
        W: columns of the sensor.
    """

    def __init__(self, cfg: NeuromorphicDatasetConfig, raw_root: Path, H: int, W: int) -> None:
        super().__init__(cfg, raw_root)
        self.H = H
        self.W = W

    def frame_manifest(self, **settings: object) -> Manifest:
        what = {"kind": "frames", **settings}
        return Manifest(self.dataset.dataset_name(), what, (self.H, self.W))

    def integrator(self) -> Callable[[dict[str, NDArray[Any]]], NDArray[Any]]:
        """Function from events to frames."""
        raise NotImplementedError

    @property
    def folder_name(self) -> str:
        """Name of the tree below the root."""
        raise NotImplementedError

    @property
    def processed_root(self) -> Path:
        return self.cfg.root / self.folder_name if self.options.cache else self.raw_root

    @property
    def reads_events(self) -> bool:
        return not self.options.cache

    def is_complete(self) -> bool:
        return not self.options.cache or super().is_complete()

    def build_impl(self) -> None:
        source, target = self.raw_root / self.split, self.processed_root / self.split
        target.mkdir(parents=True, exist_ok=True)
        maker = FrameMaker(self.dataset.load_events, self.integrator(), self.counts_in_names)
        tasks = list(missing_frames(source, target, self.counts_in_names))
        label = " ".join(filter(None, (self.processed_root.name, self.split)))
        _log.info("integrating %d samples of %s into %s", len(tasks), source, target)
        run_parallel(
            maker,
            tasks,
            workers=self.options.workers,
            progress=self.options.progress,
            description=label,
        )

    def get_loader(self) -> Loader:
        dtype = np.dtype(self.options.dtype)
        if self.options.cache:
            return FrameLoader(dtype)
        return OnTheFly(self.dataset.load_events, self.integrator(), dtype)


class FrameFixedNumberBuilder(FrameBuilder):
    """A fixed number of frames per sample, of equal counts of events or equal times."""

    @property
    def folder_name(self) -> str:
        return f"frames_number_{self.cfg.frames_number}_split_by_{self.cfg.split_by}"

    def manifest(self) -> Manifest:
        return self.frame_manifest(frames_number=self.cfg.frames_number, split_by=self.cfg.split_by)

    def integrator(self) -> Callable[[dict[str, NDArray[Any]]], NDArray[Any]]:
        from .frames import integrate_events_by_fixed_frames_number

        cfg = self.cfg
        if cfg.frames_number is None or cfg.split_by is None:
            raise ValueError("frames_number and split_by are not given")
        integrate = functools.partial(
            integrate_events_by_fixed_frames_number,
            split_by=cfg.split_by,
            frames_num=cfg.frames_number,
            H=self.H,
            W=self.W,
        )
        return InTimeOrder(integrate) if cfg.split_by == "time" else integrate


class FrameFixedDurationBuilder(FrameBuilder):
    """Frames of a fixed duration; samples have as many as they are long."""

    counts_in_names = True

    @property
    def folder_name(self) -> str:
        return f"duration_{self.cfg.duration}"

    def manifest(self) -> Manifest:
        return self.frame_manifest(duration=self.cfg.duration)

    def integrator(self) -> Callable[[dict[str, NDArray[Any]]], NDArray[Any]]:
        from .frames import integrate_events_by_fixed_duration

        if self.cfg.duration is None:
            raise ValueError("duration is not given")
        return InTimeOrder(
            functools.partial(
                integrate_events_by_fixed_duration, duration=self.cfg.duration, H=self.H, W=self.W
            )
        )


class FrameCustomIntegrateBuilder(FrameBuilder):
    """Frames made by the user's function ``f(events, H, W)``."""

    @property
    def folder_name(self) -> str:
        given = self.cfg.custom_integrated_frames_dir_name
        return given or _name_of(self._function)

    @property
    def _function(self) -> Callable[..., Any]:
        function = self.cfg.custom_integrate_function
        if function is None:
            raise ValueError("custom_integrate_function is not given")
        return function

    def manifest(self) -> Manifest:
        name = getattr(self._function, "__name__", self.folder_name)
        manifest = self.frame_manifest(custom_integrate_function=name)
        return replace(manifest, function=function_hash(self._function))

    def integrator(self) -> Callable[[dict[str, NDArray[Any]]], NDArray[Any]]:
        return CustomIntegrator(self._function, self.H, self.W)


def _name_of(function: Callable[..., Any]) -> str:
    """Folder name for a function; those without a name of their own get part of their hash."""
    name = getattr(function, "__name__", None)
    if name is not None and name.isidentifier():
        return name
    kind = "lambda" if name == "<lambda>" else type(function).__name__
    inner = getattr(getattr(function, "func", None), "__name__", kind)
    return f"{inner}_{function_hash(function)[:8]}"


@dataclass(frozen=True)
class InTimeOrder:
    """Sorts events by time first: some published recordings step back here and there."""

    integrate: Callable[[dict[str, NDArray[Any]]], NDArray[Any]]

    def __call__(self, events: dict[str, NDArray[Any]]) -> NDArray[Any]:
        return self.integrate(in_time_order(events))


@dataclass(frozen=True)
class CustomIntegrator:
    function: Callable[..., Any]
    H: int
    W: int

    def __call__(self, events: dict[str, NDArray[Any]]) -> NDArray[Any]:
        frames = self.function(events, self.H, self.W)
        if frames is None:
            raise TypeError("custom_integrate_function returned None; it must return the frames")
        return np.asarray(frames)


@dataclass(frozen=True)
class OnTheFly:
    """Loads events and integrates them at every access."""

    load: Callable[[Path], dict[str, NDArray[Any]]]
    integrate: Callable[[dict[str, NDArray[Any]]], NDArray[Any]]
    dtype: np.dtype[Any]

    def __call__(self, path: Path) -> NDArray[Any]:
        return as_type(self.integrate(self.load(path)), self.dtype, path)


@dataclass(frozen=True)
class FrameMaker:
    """Job of a worker process: one sample's events to one file of frames."""

    load: Callable[[Path], dict[str, NDArray[Any]]]
    integrate: Callable[[dict[str, NDArray[Any]]], NDArray[Any]]
    counts_in_names: bool

    def __call__(self, task: tuple[Path, Path]) -> None:
        source, target = task
        try:
            frames = self.integrate(self.load(source))
        except Exception as error:
            error.add_note(f"while integrating {source}")
            raise
        count = f"_{len(frames)}" if self.counts_in_names else ""
        save_frames(target.with_name(f"{target.name}{count}.npy"), frames)


def missing_frames(
    source: Path, target: Path, counts_in_names: bool
) -> Iterator[tuple[Path, Path]]:
    """Pairs (events, frames without suffix) that are still to be made; makes the folders."""
    for folder, _, names in os.walk(source):
        out = target / Path(folder).relative_to(source)
        out.mkdir(exist_ok=True)
        there = os.listdir(out)
        done = {_stem(without_count(name) if counts_in_names else name) for name in there}
        for name in sorted(names):
            stem = _stem(name)
            if name.endswith((".npy", ".npz")) and not name.startswith(".") and stem not in done:
                yield Path(folder, name), out / stem


def _stem(name: str) -> str:
    return name.rpartition(".")[0]
