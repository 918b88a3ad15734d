"""Synthetic spike-camera datasets: a moving scene, simulated, in the layout of the real one."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...atomic import atomic_path
from ...errors import FormatError
from ...fake import MARKER, SyntheticDataWarning
from ...locking import folder_lock
from ..media import write_gray_image
from ..simulate import simulate_spikes

if TYPE_CHECKING:
    from .base import BaseDataset

__all__ = ["moving_scene", "settle_fake_streams", "write_fake_streams"]


def moving_scene(
    n_frames: int, height: int, width: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float32]]:
    """Light ``[H, W]`` in [0, 1] of a grating and a disc that drift over a ramp."""
    y, x = np.mgrid[:height, :width].astype(np.float32) / np.float32(max(height, width))
    direction, phase, angle = rng.uniform(0, 2 * np.pi, 3)
    waves = rng.uniform(3, 8) * 2 * np.pi * (np.cos(direction) * x + np.sin(direction) * y) + phase
    sine, cosine = (0.15 * f(waves).astype(np.float32) for f in (np.sin, np.cos))
    centre = rng.uniform(0.3, 0.7, 2) * np.array([height, width]) / max(height, width)
    ramp, disc_light = 0.2 + 0.3 * x, 0.9 - 0.3 * y
    for t in np.arange(n_frames) / 300:
        v, u = (
            float(c) for c in centre + 0.2 * (t - 0.5) * np.array([np.sin(angle), np.cos(angle)])
        )
        scene = ramp + sine * math.cos(4 * t) + cosine * math.sin(4 * t)
        inside = np.square(y[:, :1] - v) + np.square(x[:1] - u) < 0.02
        yield np.where(inside, disc_light, scene)


def settle_fake_streams(dataset: BaseDataset) -> None:
    """Write the synthetic streams that ``cfg.fake`` asks for; warn where streams are synthetic.

    Raises:
        FileExistsError: they are asked for in a folder with other data.
    """
    root = Path(dataset.cfg.root_dir)
    if not dataset.cfg.fake and not (root / MARKER).is_file():
        return
    if not _is_complete(root):  # asked for, or begun by a process that was stopped
        root.mkdir(parents=True, exist_ok=True)
        with folder_lock(root):
            if not _is_complete(root):
                dataset.write_fake()
    warnings.warn(
        f"{root} holds a synthetic copy of {dataset.cfg.dataset_name}; results on it mean nothing",
        SyntheticDataWarning,
        stacklevel=3,
    )


def write_fake_streams(
    dataset: BaseDataset, streams: tuple[int, int], n_frames: int, seed: int
) -> None:
    """Write both splits of a synthetic dataset.

    Raises:
        FileExistsError: the folder holds something already.
    """
    root = Path(dataset.cfg.root_dir)
    others = [p for p in root.glob("*") if not p.name.startswith(".")] if root.is_dir() else []
    if _is_complete(root) or (others and not (root / MARKER).is_file()):
        raise FileExistsError(f"{root} is not empty: synthetic data need a folder of their own")
    root.mkdir(parents=True, exist_ok=True)
    # marked before anything is written: half a copy is never taken for real data
    marker = {"dataset": dataset.cfg.dataset_name, "seed": seed, "version": 1}
    _write_marker(root, {**marker, "complete": False})
    rng = np.random.default_rng(seed)
    for split, count in zip(("train", "test"), streams, strict=True):
        for number in range(count):
            _write_stream(dataset, split, f"{split}{number:03d}", n_frames, rng)
    _write_marker(root, {**marker, "complete": True})


def _is_complete(root: Path) -> bool:
    try:
        return json.loads((root / MARKER).read_text(encoding="utf-8"))["complete"] is True
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(root / MARKER, f"damaged ({error!r}); delete {root}") from error


def _write_marker(root: Path, marker: dict[str, object]) -> None:
    with atomic_path(root / MARKER) as path:
        path.write_text(json.dumps(marker) + "\n", encoding="utf-8")


def _write_stream(
    dataset: BaseDataset, split: str, name: str, n_frames: int, rng: np.random.Generator
) -> None:
    cfg = dataset.cfg
    scene = list(moving_scene(n_frames, cfg.height, cfg.width, rng))
    spikes = simulate_spikes(iter(scene), 1 / cfg.rate, rng=rng)
    stream, image = dataset.fake_paths(split, name)
    stream.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_spike(stream, spikes)
    if image is not None:
        image.parent.mkdir(parents=True, exist_ok=True)
        write_gray_image(image, scene[n_frames // 2])
