"""Command line: ``sz-models reconstruct FILE.dat --height H --width W -o out.png``.

Errors are one line on stderr and exit status 2; nothing is written then.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from . import __version__

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except (ImportError, OSError, TypeError, ValueError) as error:
        # The message may quote a library's text that spans lines.
        print(f"sz-models: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="sz-models", description="Spike-camera streams to images.")
    parser.add_argument("--version", action="version", version=f"sz-models {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_reconstruct(commands)
    return parser


def _add_reconstruct(commands: argparse._SubParsersAction[_Parser]) -> None:
    from .registry import METHODS

    command = commands.add_parser("reconstruct", help="make one image from a recording")
    command.set_defaults(run=_reconstruct)
    command.add_argument("file", metavar="FILE.dat", help="spike-camera recording")
    command.add_argument("--height", type=int, required=True, help="rows of a frame")
    command.add_argument("--width", type=int, required=True, help="columns of a frame")
    command.add_argument(
        "--method", default="tfp", help=f"one of: {', '.join(METHODS)} (default tfp)"
    )
    command.add_argument("-o", "--output", required=True, metavar="IMAGE", help="file to write")
    command.add_argument("--key-frame", type=int, metavar="K", help="default: the middle frame")
    command.add_argument("--window", type=int, metavar="W", help="frames to look at")
    command.add_argument("--sigma", type=float, metavar="S", help="width of gtfp in frames")
    command.add_argument(
        "--rate", type=float, default=1.0, metavar="R", help="spikes per frame at full brightness"
    )
    command.add_argument("--truth", metavar="IMAGE", help="paired image; prints PSNR and SSIM")
    command.add_argument("--weights", metavar="FILE", help="weight file of a network")
    command.add_argument("--release", metavar="V", help="released weights (default v023)")
    command.add_argument(
        "--no-strict", action="store_true", help="drop an incomplete last frame of the file"
    )


def _reconstruct(arguments: argparse.Namespace) -> int:
    from .images import check_image_path, save_image
    from .metrics import psnr, ssim
    from .reconstruct import open_stream, reconstruct

    output = Path(arguments.output)
    check_image_path(output)
    if not output.parent.is_dir():
        raise FileNotFoundError(f"{output}: folder {output.parent} does not exist; create it first")
    stream = open_stream(
        arguments.file, arguments.height, arguments.width, strict=not arguments.no_strict
    )
    image = reconstruct(
        stream,
        method=arguments.method,
        key_frame=arguments.key_frame,
        window=arguments.window,
        sigma=arguments.sigma,
        rate=arguments.rate,
        version=arguments.release,
        ckpt_path=arguments.weights,
    )
    key_frame = len(stream) // 2 if arguments.key_frame is None else arguments.key_frame
    line = f"{output}: {arguments.method} at key frame {key_frame} of {len(stream)}"
    if arguments.truth is not None:
        truth = _read_truth(arguments.truth, tuple(image.shape))
        line += f", PSNR {psnr(image, truth):.2f} dB, SSIM {ssim(image, truth):.4f}"
    save_image(output, image)
    print(line)
    return 0


def _read_truth(path: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    from sj_datasets.spike_camera import read_gray_image

    truth = read_gray_image(path)
    if truth.shape != shape:
        raise ValueError(
            f"{path} is {truth.shape[0]}x{truth.shape[1]}, the reconstruction {shape[0]}x{shape[1]}"
        )
    return truth
