"""One function that hands bytes to one of the readers, for the fuzzer and for its corpus.

The first byte of an input chooses the reader, the rest is the file. A reader may return, or raise
the errors it declares; everything else is a finding.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sj_datasets.download.archives import extract
from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats.idx import read_idx, write_idx
from sj_datasets.formats.spike_trains import SpikeTrainFile, write_spike_trains
from sj_datasets.formats.table import FORMATS, describe, read_events, write_events
from sj_datasets.formats.wav import read_wav, write_wav
from sj_datasets.spike_camera import SpikeStream, save_vidar_dat
from sj_datasets.spike_camera.uhsr import read_uhsr, write_uhsr

__all__ = ["TARGETS", "Target", "run_one", "target_of", "write_seeds"]

EXTERNAL = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")  # unpacked by programs, not by us


class Target(NamedTuple):
    """A reader, the suffix of its files, and how to write a valid one."""

    name: str
    suffix: str
    read: Callable[[Path], object]
    write: Callable[[Path], object]


def _events() -> Events:
    return Events.from_arrays([3, 9, 9, 70_000], [1, 2, 3, 30], [5, 6, 7, 8], [1, 1, 0, 1])


def _read_events(name: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        events = read_events(path, name)
        assert events["p"].max(initial=0) <= 1
        return events

    return read


def _write_events(name: str) -> Callable[[Path], object]:
    return lambda path: write_events(path, _events(), name)


def _read_stream(path: Path) -> object:
    stream = SpikeStream(path, 8, 16)
    assert stream[:].max() <= 1
    return stream


def _read_trains(path: Path) -> object:
    with SpikeTrainFile(path) as trains:
        return [trains[i] for i in range(min(len(trains), 16))]


def _extract(path: Path) -> object:
    if path.read_bytes().startswith(EXTERNAL):
        return None
    folder = path.with_name("unpacked")
    try:
        return extract(path, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.txt", b"content" * 20)
        archive.writestr("c.txt", b"")


def _write_tar(path: Path) -> None:
    shutil.make_archive(
        str(path.with_suffix("")), "tar", __file__.rpartition("/")[0], "conftest.py"
    )


def _write_trains(path: Path) -> None:
    write_spike_trains(path, [([0.1, 0.2], [3, 699]), ([], [])], [0, 1], keys=["a", "b"])


# The first byte of a corpus file counts along this list: add at the end, never reorder.
TARGETS: tuple[Target, ...] = (
    *(
        Target(name, FORMATS[name].suffixes[0], _read_events(name), _write_events(name))
        for name in (
            "atis",
            "aedat2",
            "aedat3",
            "aedat4",
            "prophesee_dat",
            "evt2",
            "evt3",
            "navgesture",
            "asl_dvs",
            "es_imagenet",
            "columns",
            "bullying10k",
        )
    ),
    Target("detect", ".bin", lambda path: describe(path), _write_events("atis")),
    Target("wav", ".wav", read_wav, lambda path: write_wav(path, [0.5, -0.5], 8000)),
    Target("idx", ".idx", read_idx, lambda path: write_idx(path, np.eye(3, dtype=np.uint8))),
    Target("gzip", ".gz", read_idx, lambda path: write_idx(path, np.eye(3, dtype=np.uint8))),
    Target("trains", ".h5", _read_trains, _write_trains),
    Target("dat", ".dat", _read_stream, lambda path: save_vidar_dat(path, np.ones((2, 8, 16)))),
    Target("uhsr", ".npz", read_uhsr, lambda path: write_uhsr(path, np.zeros((1, 250, 250)))),
    Target("zip", ".zip", _extract, _write_zip),
    Target("tar", ".tar", _extract, _write_tar),
    Target("npy", ".npy", _read_events("columns"), _write_events("columns")),
)


def target_of(data: bytes) -> Target | None:
    """The reader that an input is for, if there is one."""
    return TARGETS[data[0]] if data and data[0] < len(TARGETS) else None


def run_one(data: bytes, folder: Path) -> Any:
    """Read ``data`` in ``folder``; the error that the reader declares is returned.

    Raises:
        Exception: any other error, which is a finding.
    """
    target = target_of(data)
    if target is None:
        return None
    path = folder / f"input{target.suffix}"
    path.write_bytes(data[1:])
    try:
        return target.read(path)
    except FormatError as error:
        assert str(path) in str(error)
        return error
    except ImportError as error:
        # compressed AEDAT 4 needs an extra
        if target.name not in ("aedat4", "detect"):
            raise
        return error
    except ValueError as error:
        # streams of spike cameras have no format to break: their size is an argument
        if target.name != "dat":
            raise
        return error
    finally:
        path.unlink()


def write_seeds(folder: Path) -> list[Path]:
    """A valid input for every reader whose writer has what it needs."""
    seeds = []
    for index, target in enumerate(TARGETS):
        path = folder / f"seed{target.suffix}"
        try:
            target.write(path)
        except ImportError:
            continue
        seeds.append(folder / f"seed-{index:02}-{target.name}")
        seeds[-1].write_bytes(bytes([index]) + path.read_bytes())
        path.unlink()
    return seeds
