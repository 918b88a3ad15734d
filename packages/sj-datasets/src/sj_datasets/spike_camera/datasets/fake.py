"""Synthetic spike-camera datasets: a moving scene, simulated, in the layout of the real one."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...atomic import atomic_path
from ..media import write_gray_image
from ..simulate import simulate_spikes

if TYPE_CHECKING:
    from .base import BaseDataset

__all__ = ["check_fake", "moving_scene", "write_fake_streams"]

MARKER = "FAKE.json"


def moving_scene(
    n_frames: int, height: int, width: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float32]]:
    """Light ``[H, W]`` in [0, 1] of a grating and a disc that drift over a ramp."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    direction, phase, angle = rng.uniform(0, 2 * np.pi, 3)
    waves = rng.uniform(3, 8) * 2 * np.pi * (np.cos(direction) * x + np.sin(direction) * y)
    centre = rng.uniform(0.3, 0.7, 2) * np.array([height, width]) / max(height, width)
    for t in np.arange(n_frames) / 300:
        at = centre + 0.2 * (t - 0.5) * np.array([np.sin(angle), np.cos(angle)])
        disc = (y - at[0]) ** 2 + (x - at[1]) ** 2 < 0.02
        scene = 0.2 + 0.3 * x + 0.15 * np.sin(waves + phase + 4 * t)
        yield np.where(disc, 0.9 - 0.3 * y, scene).astype(np.float32)


def write_fake_streams(
    dataset: BaseDataset, streams: tuple[int, int], n_frames: int, seed: int
) -> None:
    """Write both splits of a synthetic dataset, and a marker file last.

    Raises:
        FileExistsError: the folder holds something already.
    """
    cfg = dataset.cfg
    root = Path(cfg.root_dir)
    if root.is_dir() and any(root.iterdir()):
        raise FileExistsError(f"{root} is not empty: synthetic data go into a folder of their own")
    rng = np.random.default_rng(seed)
    for split, count in zip(("train", "test"), streams, strict=True):
        for number in range(count):
            _write_stream(dataset, split, f"{split}{number:03d}", n_frames, rng)
    with atomic_path(root / MARKER) as path:
        content = {"dataset": cfg.dataset_name, "seed": seed, "version": 1}
        path.write_text(json.dumps(content), encoding="utf-8")


def check_fake(dataset: BaseDataset) -> None:
    """Write what ``cfg.fake`` asks for; warn where data are synthetic.

    Raises:
        ValueError: ``fake`` is asked for in a folder with other data.
    """
    cfg = dataset.cfg
    root = Path(cfg.root_dir)
    marked = (root / MARKER).is_file()
    if cfg.fake and not marked:
        if root.is_dir() and any(root.iterdir()):
            raise ValueError(f"fake=True, but {root} holds other data; give an empty root_dir")
        dataset.write_fake()
        marked = True
    if marked:
        warnings.warn(f"{root} holds synthetic data", UserWarning, stacklevel=3)


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
