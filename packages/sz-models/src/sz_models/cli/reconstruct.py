"""``sz-models reconstruct``: one image, or a video."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sj_datasets.atomic import atomic_path

from ..images import check_image_path, save_image, to_uint8
from ..metrics import psnr, ssim
from ..reconstruct_video import reconstruct_video
from ..streams import Spikes
from ..tiling import check_tile
from .arguments import (
    Commands,
    add_command,
    add_rate,
    add_recording,
    add_tile,
    check_method,
    check_target,
    method_names,
    open_recording,
    progress,
    read_truth,
)
from .film import FILMS, check_film, write_film
from .images import image_at

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Tell argparse about the command."""
    command = add_command(commands, "reconstruct", "make an image or a video", _run)
    add_recording(command)
    command.add_argument(
        "--method", default="tfp", help=f"one of: {', '.join(method_names())} (default tfp)"
    )
    command.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="image, .mp4 or .gif to write",
    )
    command.add_argument(
        "--frame", "--key-frame", type=int, metavar="K", help="of an image (default the middle one)"
    )
    command.add_argument(
        "--frames", metavar="A:B:STEP", help="of a video: A, A + STEP, ... before B (default all)"
    )
    command.add_argument("--fps", type=float, default=25.0, help="images a second of a video (25)")
    command.add_argument("--window", type=int, metavar="W", help="frames to look at")
    command.add_argument("--sigma", type=float, metavar="S", help="width of gtfp in frames")
    add_rate(command)
    add_tile(command)
    command.add_argument(
        "--gt", "--truth", metavar="IMAGE", help="paired image; prints PSNR and SSIM"
    )
    weights = command.add_mutually_exclusive_group()
    weights.add_argument("--weights", metavar="FILE", help="weight file of a network")
    weights.add_argument(
        "--version", "--release", metavar="V", help="released weights (default v023)"
    )


def _run(arguments: argparse.Namespace) -> int:
    output = Path(arguments.output)
    method = check_method(arguments.method)
    film = output.suffix.lower() in FILMS and arguments.frame is None
    if film:
        check_film(output, arguments.fps)
    elif arguments.frames is not None:
        raise ValueError(f"--frames makes a video, and {output} is an image; use --frame")
    else:
        check_image_path(output)
    if film and arguments.gt is not None:
        raise ValueError("--gt is of one image; give its --frame")
    check_target(output)
    stream = open_recording(arguments)
    print(_film(arguments, method, stream) if film else _image(arguments, method, stream))
    return 0


def _image(arguments: argparse.Namespace, method: str, stream: Spikes) -> str:
    image = image_at(
        stream,
        method,
        key_frame=arguments.frame,
        window=arguments.window,
        sigma=arguments.sigma,
        rate=arguments.rate,
        version=arguments.version,
        weights=arguments.weights,
        tile=arguments.tile,
    )
    key = stream.shape[0] // 2 if arguments.frame is None else arguments.frame
    line = f"{arguments.output}: {method} at key frame {key} of {stream.shape[0]}"
    if arguments.gt is not None:
        truth = read_truth(arguments.gt, tuple(image.shape))
        line += f", PSNR {psnr(image, truth):.2f} dB, SSIM {ssim(image, truth):.4f}"
    save_image(arguments.output, image)
    return line


def _film(arguments: argparse.Namespace, method: str, stream: Spikes) -> str:
    start, stop, step = parse_frames(arguments.frames)
    video = reconstruct_video(
        stream,
        method,
        start=start,
        stop=stop,
        step=step,
        window=arguments.window,
        sigma=arguments.sigma,
        rate=arguments.rate,
        version=arguments.version,
        ckpt_path=arguments.weights,
        tile=None if arguments.tile is None else check_tile(arguments.tile),
    )
    count = 0

    def pictures() -> Iterator[NDArray[np.uint8]]:
        nonlocal count
        for image in video:
            yield to_uint8(image)
            count += 1
            bar.update()

    total = None if start is None or stop is None else len(range(start, stop, step))
    with progress(total, method) as bar, atomic_path(arguments.output) as temporary:
        write_film(temporary, pictures(), arguments.fps)
    return (
        f"{arguments.output}: {count} images of {method}, {arguments.fps:g} a second, from "
        f"{stream.shape[0]} frames"
    )


def parse_frames(text: str | None) -> tuple[int | None, int | None, int]:
    """``"A:B:STEP"`` as numbers; each may be left out.

    Raises:
        ValueError: something else.
    """
    if text is None:
        return None, None, 1
    found = re.fullmatch(r"([0-9]*):([0-9]*)(?::([0-9]*))?", text)
    if found is None:
        raise ValueError(f"--frames must be A:B or A:B:STEP, got {text!r}")
    start, stop, step = (int(part) if part else None for part in found.groups())
    return start, stop, 1 if step is None else step
