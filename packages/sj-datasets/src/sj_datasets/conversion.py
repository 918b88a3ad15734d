"""From the extracted files of a publisher to ``events_np``: one file of events per sample."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .atomic import atomic_path
from .cache import save_events
from .config import BuildOptions, Conversion
from .events import Events
from .tree import SampleTree
from .workers import run_parallel

__all__ = ["build_events"]

_log = logging.getLogger(__name__)


class Source(Protocol):
    """What a dataset class knows of its files."""

    @classmethod
    def dataset_name(cls) -> str: ...

    @classmethod
    def conversions(cls, extract_root: Path) -> Iterable[Conversion]: ...

    @classmethod
    def convert(cls, conversion: Conversion) -> Iterable[Events]: ...


def build_events(
    dataset: type[Source],
    extract_root: Path,
    tree: SampleTree,
    split: str,
    options: BuildOptions,
) -> None:
    """Write the events of one split that are not there yet, and note when all are.

    Raises:
        FileNotFoundError: ``extract_root`` holds no sample of the split.
        ValueError: two files claim the same sample.
    """
    conversions = list(dataset.conversions(extract_root))
    outputs = _checked_outputs(conversions, split)
    wanted = {output for output in outputs if output.startswith(f"{split}/" if split else "")}
    if not wanted:
        raise FileNotFoundError(
            f"{extract_root} holds no sample of {dataset.dataset_name()} {split}".rstrip()
            + "; delete the folder to have the archives extracted again"
        )
    tree.begin()
    needed = [c for c in conversions if wanted.intersection(c.outputs)]
    done = _make_folders(tree.folder, split, outputs, needed)
    tasks = [c for c in needed if not wanted.intersection(c.outputs) <= done]
    _log.info("converting %d files of %s into %s", len(tasks), extract_root, tree.folder)
    run_parallel(
        EventMaker(dataset, tree.folder),
        tasks,
        workers=options.workers,
        progress=options.progress,
        description=" ".join(filter(None, (dataset.dataset_name(), split, "events"))),
    )
    tree.finish(split)


def _checked_outputs(conversions: list[Conversion], split: str) -> set[str]:
    depth = 3 if split else 2
    outputs: set[str] = set()
    for conversion in conversions:
        for output in conversion.outputs:
            if output in outputs:
                raise ValueError(f"{conversion.source}: sample {output} comes from two files")
            parts = output.split("/")
            if len(parts) != depth or any(p in ("", ".", "..") or "\\" in p for p in parts):
                raise ValueError(f"{conversion.source}: {output!r} is no name of a sample")
            outputs.add(output)
    return outputs


def _make_folders(root: Path, split: str, outputs: set[str], needed: list[Conversion]) -> set[str]:
    """Make the folders that samples go to; returns the samples that lie there already.

    Classes that only another split has get a folder too, so that labels agree.
    """
    folders = {Path(split, output.split("/")[-2]).as_posix() for output in outputs}
    folders.update(output.rpartition("/")[0] for c in needed for output in c.outputs)
    done = set()
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name in os.listdir(root / folder):
            if name.endswith((".npy", ".npz")):
                done.add(f"{folder}/{name.rpartition('.')[0]}")
    return done


@dataclass(frozen=True)
class EventMaker:
    """Job of a worker process: one published file to its samples."""

    dataset: type[Source]
    root: Path

    def __call__(self, conversion: Conversion) -> None:
        targets = [self.root / f"{output}.npy" for output in conversion.outputs]
        try:
            if conversion.link:
                (target,) = targets
                link(conversion.source, target.with_name(target.stem + conversion.source.suffix))
                return
            samples = self.dataset.convert(conversion)
            for target, events in zip(targets, samples, strict=True):
                if not target.exists():
                    save_events(target, events)
        except Exception as error:
            error.add_note(f"while converting {conversion.source}")
            raise


def link(source: Path, target: Path) -> None:
    """Make ``target`` stand for ``source``: a symbolic link, else a hard link, else a copy."""
    if target.exists():
        return
    target.unlink(missing_ok=True)  # a link whose file is gone
    with contextlib.suppress(OSError, NotImplementedError):
        # relative: the root may be moved as a whole
        os.symlink(os.path.relpath(source.resolve(), target.parent.resolve()), target)
        return
    with contextlib.suppress(OSError, NotImplementedError):
        os.link(source, target)
        return
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
