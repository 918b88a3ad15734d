"""What bench_events.py measures: ours, other libraries, and what each ratio must be.

integrate   1 M events to 16 frames by time
aedat       reading an AEDAT 3.1 recording
cache       loading the frames of one sample
spikes      decoding a spike-camera recording of 250 x 400 pixels
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from peer_data import spikezoo_utils, spikingjelly_utils, tonic_transforms
from sj_datasets import cache, frames, spike_camera
from sj_datasets.events import Events
from sj_datasets.formats import aedat3

__all__ = ["Part", "Ratio", "all_parts", "integrate", "recording"]

H = W = 128
T = 16
DURATION = 5_000_000  # microseconds


@dataclass(frozen=True)
class Ratio:
    """How many times longer `slow` may (most) or must (least) take than `fast`.

    Where page faults are most of what `slow` does, the limit is for one setting of the C library,
    named in `allocator`; the ratio is told in any case.
    """

    slow: str
    fast: str
    least: float | None = None
    most: float | None = None
    allocator: str | None = None


@dataclass(frozen=True)
class Part:
    """Contenders that do the same work."""

    name: str
    work: str
    contenders: dict[str, Callable[[], object]]
    ratios: tuple[Ratio, ...] = field(default=())


def recording(N: int) -> Events:
    """Random events of a 128 x 128 sensor within five seconds."""
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, DURATION, N))
    x, y, p = (rng.integers(0, size, N) for size in (W, H, 2))
    return Events.from_arrays(t, x, y, p, (H, W))


def all_parts(folder: Path, quick: bool) -> Iterator[Part]:
    """Every part; files go to the folder."""
    scale = 100 if quick else 1
    yield integrate(1_000_000 // scale)
    # what a packet costs is Python's, what an event costs is memory's
    for capacity in (1 << 16, 1 << 12, 1 << 7):
        yield _aedat(folder, 1_000_000 // scale, capacity)
    yield _cache(folder)
    yield _spikes(folder, 300 // scale)


def integrate(N: int) -> Part:
    """Frames split by time, from every layout of the same events."""
    events = recording(N)
    layouts: dict[str, Any] = {
        "events": events,
        "columns": events.columns(),
        "int64": {name: column.astype(np.int64) for name, column in events.items()},
    }
    made: dict[str, Callable[[], object]] = {
        f"ours, {name}": _call(frames.integrate_events_by_fixed_frames_number, layout)
        for name, layout in layouts.items()
    }
    peer = spikingjelly_utils()
    if peer is not None:
        made |= {
            f"spikingjelly, {name}": _call(peer.integrate_events_by_fixed_frames_number, layout)
            for name, layout in layouts.items()
        }
    tonic = tonic_transforms()
    if tonic is not None:
        to_frame = tonic.ToFrame(sensor_size=(W, H, 2), n_time_bins=T)
        made["tonic, events"] = lambda: to_frame(events.array)
    made["floor, cells known"] = _bare_count(events)
    return Part(
        "integrate",
        f"{N} events to {T} frames of {H} x {W} by time",
        made,
        (
            Ratio("spikingjelly, events", "ours, events", least=4),
            Ratio("spikingjelly, columns", "ours, columns"),
            Ratio("spikingjelly, int64", "ours, int64"),
            Ratio("tonic, events", "ours, events", least=10),
            Ratio("ours, events", "floor, cells known"),
        ),
    )


def _call(function: Callable[..., object], events: object) -> Callable[[], object]:
    return lambda: function(events, "time", T, H, W)


def _bare_count(events: Events) -> Callable[[], object]:
    """Counting alone, with the cell of each event and the limits of the frames given."""
    x, y, p = (events[name].astype(np.intp) for name in "xyp")
    parts = np.array_split((p * H + y) * W + x, T)
    made = np.empty((T, 2 * H * W), np.int32)

    def count() -> None:
        for i, part in enumerate(parts):
            made[i] = np.bincount(part, minlength=2 * H * W)

    return count


def _read_and_fill(path: Path, nbytes: int) -> Callable[[], object]:
    """Reading a file and filling so many bytes with one value."""
    return lambda: (np.fromfile(path, np.uint8), np.empty(nbytes, np.uint8).fill(1))


def _aedat(folder: Path, N: int, capacity: int) -> Part:
    path = folder / f"packets-of-{capacity}.aedat"
    aedat3.write_aedat3(path, recording(N), capacity=capacity)
    made: dict[str, Callable[[], object]] = {
        "ours, columns": lambda: aedat3.load_aedat_v3(path),
        "ours, events": lambda: aedat3.read_aedat3(path),
    }
    peer = spikingjelly_utils()
    if peer is not None:
        made["spikingjelly, columns"] = lambda: peer.load_aedat_v3(str(path))
    made["floor, read and fill"] = _read_and_fill(path, recording(0).array.itemsize * N)
    return Part(
        "aedat",
        f"{N} events of an AEDAT 3.1 file, packets of {capacity}",
        made,
        (
            Ratio("spikingjelly, columns", "ours, columns", least=300),
            Ratio("spikingjelly, columns", "ours, events"),
            Ratio("ours, columns", "floor, read and fill"),
        ),
    )


def _cache(folder: Path) -> Part:
    counts = frames.integrate_events_by_fixed_frames_number(recording(300_000), "number", T, H, W)
    cache.save_frames(folder / "sample.npy", counts)
    made: dict[str, Callable[[], object]] = {
        "ours": lambda: cache.load_frames(folder / "sample.npy")
    }
    peer = spikingjelly_utils()
    if peer is not None:
        np.savez_compressed(folder / "sample.npz", frames=counts.astype(float))
        made["spikingjelly"] = lambda: peer.load_npz_frames(folder / "sample.npz")
    return Part(
        "cache",
        f"frames {list(counts.shape)} as float32",
        made,
        (Ratio("spikingjelly", "ours", least=10),),
    )


def _spikes(folder: Path, n_frames: int) -> Part:
    path, (height, width) = folder / "recording.dat", (250, 400)
    rng = np.random.default_rng(0)
    path.write_bytes(rng.bytes(n_frames * height * width // 8))
    made: dict[str, Callable[[], object]] = {
        "ours": lambda: spike_camera.load_vidar_dat(path, height, width)
    }
    peer = spikezoo_utils()
    if peer is not None:
        made["spikezoo"] = lambda: peer.load_vidar_dat(str(path), height, width)
    spikes = spike_camera.load_vidar_dat(path, height, width)
    made["floor, read and write"] = lambda: (np.fromfile(path, np.uint8), spikes.copy())
    made["floor, read and fill"] = _read_and_fill(path, spikes.nbytes)
    return Part(
        "spikes",
        f"{n_frames} frames of {height} x {width} as uint8",
        made,
        (
            Ratio("spikezoo", "ours", least=50, allocator="default"),
            Ratio("ours", "floor, read and write", most=2),
            Ratio("ours", "floor, read and fill"),
        ),
    )
