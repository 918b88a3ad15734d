"""``sz-models simulate``: pictures or a video to a recording."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sj_datasets import save_vidar_dat
from sj_datasets.spike_camera import SensorNoise, iter_gray_frames, iter_spikes

from .arguments import Commands, add_command, check_target, progress

__all__ = ["add"]

_STILL_FRAMES = 301
_BLOCK_PIXELS = 1 << 22
_NOISE = {
    "dark-current": "mean charge per frame in darkness, in units of full light",
    "dark-mismatch": "relative spread of the dark current between pixels",
    "response-mismatch": "relative spread of the response between pixels",
    "threshold-mismatch": "relative spread of the threshold between pixels",
    "read-noise": "noise of the comparison, as a fraction of the threshold",
}


def add(commands: Commands) -> None:
    """Tell argparse about the command."""
    command = add_command(commands, "simulate", "film a video or an image by a spike camera", _run)
    command.add_argument("source", metavar="SOURCE", help="video, image, or folder of images")
    command.add_argument("output", metavar="OUT.dat", help="recording to write")
    command.add_argument(
        "--threshold", type=float, default=2.0, help="light at which a pixel fires (default 2)"
    )
    command.add_argument(
        "--frames",
        type=int,
        metavar="N",
        help=f"sensor frames at most; of a single image (default {_STILL_FRAMES}) exactly",
    )
    command.add_argument(
        "--repeat", type=int, metavar="N", help="sensor frames of each picture (default 1)"
    )
    command.add_argument("--seed", type=int, help="repeats the same noise and start")
    noise = command.add_argument_group("noise")
    noise.add_argument(
        "--photons", type=float, metavar="N", help="electrons of full light per frame: shot noise"
    )
    for name, text in _NOISE.items():
        noise.add_argument(f"--{name}", type=float, default=0.0, metavar="X", help=text)
    noise.add_argument(
        "--hard-reset", action="store_true", help="a spike empties the pixel, surplus included"
    )


def _run(arguments: argparse.Namespace) -> int:
    output = Path(arguments.output)
    check_target(output)
    if output.suffix.lower() != ".dat":
        raise ValueError(f"{output}: a recording is a .dat file")
    for name in ("frames", "repeat"):
        if getattr(arguments, name) is not None and getattr(arguments, name) < 1:
            raise ValueError(f"--{name} must be at least 1, got {getattr(arguments, name)}")
    if arguments.seed is not None and arguments.seed < 0:
        raise ValueError(f"--seed must be at least 0, got {arguments.seed}")
    light = _light(arguments)
    first = next(light)
    height, width = first.shape
    if height * width % 8:
        raise ValueError(
            f"{arguments.source} has {height}x{width} pixels; a .dat needs a multiple of 8: crop it"
        )
    blocks = iter_spikes(
        itertools.chain([first], light),
        arguments.threshold,
        rng=np.random.default_rng(arguments.seed),
        noise=_noise(arguments),
        chunk_frames=max(1, _BLOCK_PIXELS // (height * width)),
    )
    count = n_spikes = 0

    def counted() -> Iterator[NDArray[np.uint8]]:
        nonlocal count, n_spikes
        for block in blocks:
            count, n_spikes = count + len(block), n_spikes + int(block.sum())
            yield block
            bar.update(len(block))

    with progress(arguments.frames, "simulate") as bar:
        save_vidar_dat(output, counted())
    rate = n_spikes / (count * height * width)
    print(f"{output}: {count} frames of --height {height} --width {width}, rate {rate:.4f}")
    return 0


def _light(arguments: argparse.Namespace) -> Iterator[NDArray[np.float32]]:
    """Light of each sensor frame."""
    pictures = iter_gray_frames(arguments.source)
    first = next(pictures, None)
    if first is None:
        raise ValueError(f"{arguments.source} has no frames")
    second = next(pictures, None)
    if second is None:
        count = arguments.frames or arguments.repeat or _STILL_FRAMES
        return itertools.repeat(first, count)
    pictures = itertools.chain([first, second], pictures)
    repeat = arguments.repeat or 1
    frames = (frame for picture in pictures for frame in itertools.repeat(picture, repeat))
    return itertools.islice(frames, arguments.frames)


def _noise(arguments: argparse.Namespace) -> SensorNoise | None:
    noise = SensorNoise(
        photons=arguments.photons,
        hard_reset=arguments.hard_reset,
        **{name: getattr(arguments, name) for name in (key.replace("-", "_") for key in _NOISE)},
    )
    return None if noise == SensorNoise() else noise
