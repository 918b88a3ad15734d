"""Training data from an ordinary video: spikes, a sharp image and a blurred one per window.

Between neighbouring frames of the video ``num_inter`` frames are interpolated.  A window takes
n = (num_blur - 1)(num_inter + 1) + 1 of all these; ``num_overlap`` frames are skipped before the
next one.  Blur is the mean of a window, sharp its middle frame, and its spikes are simulated from
it.  The first and the last window are left out: ``num_add`` frames around a window are simulated
too, and they must exist.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .dat import save_vidar_dat
from .media import iter_gray_frames, write_gray_image
from .noise import SensorNoise
from .simulate import as_light, simulate_spikes

__all__ = ["BlurConfig", "BlurWindow", "Interpolate", "iter_blur_windows", "simulate_dataset"]

Frame = NDArray[np.floating]
Interpolate = Callable[[Frame, Frame, int], Sequence[Frame]]
"""(frame, next frame, n) -> n frames between them."""

Video = Iterable[ArrayLike] | str | os.PathLike[str]


@dataclass(frozen=True)
class BlurConfig:
    """How windows are cut.

    Args:
        num_blur: frames of the video in a window.
        num_inter: frames interpolated between two frames of the video.
        num_overlap: interpolated frames skipped between windows.
        num_add: frames before and after a window that are simulated with it.
        num_omit: only every so many frames is simulated.
        rs_ratio: size of the result relative to the video (nearest neighbour).
    """

    num_blur: int = 13
    num_inter: int = 7
    num_overlap: int = 7
    num_add: int = 0
    num_omit: int = 1
    rs_ratio: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (
            ("num_blur", 1), ("num_inter", 0), ("num_overlap", 0), ("num_add", 0), ("num_omit", 1)
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.num_add > self.stride:
            raise ValueError(
                f"num_add must be at most {self.stride}, the distance between windows, got "
                f"{self.num_add}"
            )
        if not 0 < self.rs_ratio < float("inf"):
            raise ValueError(f"rs_ratio must be positive, got {self.rs_ratio}")

    @property
    def n_frames(self) -> int:
        """Frames in a window."""
        return (self.num_blur - 1) * (self.num_inter + 1) + 1

    @property
    def stride(self) -> int:
        """Frames from the start of a window to the start of the next."""
        return self.n_frames + self.num_overlap


@dataclass(frozen=True)
class BlurWindow:
    """One window: number of its middle frame, simulated light ``[n, H, W]``, images ``[H, W]``."""

    middle: int
    light: Frame
    sharp: Frame
    blur: Frame


def iter_blur_windows(
    video: Video, config: BlurConfig | None = None, *, interpolate: Interpolate | None = None
) -> Iterator[BlurWindow]:
    """Yield the windows of a video, holding two of them in memory.

    Args:
        video: light ``[T, H, W]``, an iterable of frames, or a video or folder of images.
        config: how windows are cut.
        interpolate: makes the frames between two frames; linear by default.

    Raises:
        ValueError: light outside [0, 1] or frames of different sizes.
        FileNotFoundError: no such video.
    """
    cfg = config or BlurConfig()
    source = iter_gray_frames(video) if isinstance(video, (str, os.PathLike)) else video
    frames = (_resized(as_light(frame), cfg.rs_ratio) for frame in source)
    kept: deque[tuple[int, Frame]] = deque()
    window = 1
    for number, frame in enumerate(_interpolated(frames, cfg.num_inter, interpolate or _linear)):
        kept.append((number, frame))
        # once the next window is complete, this one is not the last
        if number < (window + 1) * cfg.stride + cfg.n_frames - 1:
            continue
        yield _window([f for _, f in kept], kept[0][0], window * cfg.stride, cfg)
        window += 1
        while kept[0][0] < window * cfg.stride - cfg.num_add:
            kept.popleft()


def simulate_dataset(
    video: Video,
    folder: str | os.PathLike[str],
    config: BlurConfig | None = None,
    *,
    threshold: float = 2.0,
    rng: np.random.Generator | int | None = None,
    noise: SensorNoise | None = None,
    interpolate: Interpolate | None = None,
) -> list[str]:
    """Write the windows of a video as a split of a :class:`SZData` dataset.

    A video whose frames are interpolated already takes ``num_inter=0`` and ``num_blur=97``.
    Below ``folder``, which is created, each window becomes ``spike_data/<name>.dat``,
    ``sharp_data/<name>.png`` and ``blur_data/<name>.png``; the name is the number of the window's
    middle frame.  The mean spike rate is light / ``threshold``.

    Returns:
        the names.

    Raises:
        ValueError: too few frames for one window between the first and the last; H*W not a
            multiple of 8; bad light.
    """
    generator = np.random.default_rng(rng)
    names = []
    for window in iter_blur_windows(video, config, interpolate=interpolate):
        if not names:
            for part in ("spike_data", "sharp_data", "blur_data"):
                (Path(folder) / part).mkdir(parents=True, exist_ok=True)
        name = f"{window.middle:06d}"
        spikes = simulate_spikes(window.light, threshold, rng=generator, noise=noise)
        save_vidar_dat(Path(folder) / "spike_data" / f"{name}.dat", spikes)
        write_gray_image(Path(folder) / "sharp_data" / f"{name}.png", window.sharp)
        write_gray_image(Path(folder) / "blur_data" / f"{name}.png", window.blur)
        names.append(name)
    if not names:
        cfg = config or BlurConfig()
        needed = -(-(2 * cfg.stride + cfg.n_frames - 1) // (cfg.num_inter + 1)) + 1
        raise ValueError(
            f"the video has fewer than {needed} frames, so no window lies between the first and "
            "the last; give a longer video or a smaller num_blur"
        )
    return names


def _interpolated(frames: Iterator[Frame], n: int, between: Interpolate) -> Iterator[Frame]:
    first = next(frames, None)
    if first is None:
        return
    yield first
    for frame, following in itertools.pairwise(itertools.chain([first], frames)):
        if frame.shape != following.shape:
            raise ValueError(f"frames change size from {frame.shape} to {following.shape}")
        yield from between(frame, following, n)
        yield following


def _linear(frame: Frame, following: Frame, n: int) -> list[Frame]:
    step = (following - frame) / (n + 1)
    return [frame + i * step for i in range(1, n + 1)]


def _window(frames: list[Frame], first: int, start: int, cfg: BlurConfig) -> BlurWindow:
    begin = start - first
    window = frames[begin : begin + cfg.n_frames]
    around = frames[begin - cfg.num_add : begin + cfg.n_frames + cfg.num_add]
    middle = cfg.n_frames // 2
    light = np.clip(np.stack(around[:: cfg.num_omit]), 0, 1)
    blur = np.clip(np.mean(window, axis=0, dtype=np.float64), 0, 1)
    return BlurWindow(start + middle, light, window[middle], blur)


def _resized(frame: Frame, ratio: float) -> Frame:
    if ratio == 1:
        return frame
    height, width = (max(1, int(n * ratio)) for n in frame.shape)
    rows = np.arange(height) * frame.shape[0] // height
    columns = np.arange(width) * frame.shape[1] // width
    return frame[np.ix_(rows, columns)]
