"""Arguments that several commands share, and what they stand for."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from sj_datasets.download.progress import Progress, progress_bar
from sj_datasets.spike_camera import read_gray_image, read_uhsr

from .._names import unknown_name
from ..reconstruct import open_stream
from ..registry import METHODS
from ..streams import Spikes

__all__ = [
    "Commands",
    "Parser",
    "Request",
    "add_command",
    "add_methods",
    "add_rate",
    "add_recording",
    "add_tile",
    "check_method",
    "check_target",
    "method_names",
    "open_recording",
    "parse_methods",
    "progress",
    "read_truth",
]


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """One line on stderr, status 2."""
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


Commands = argparse._SubParsersAction  # argparse has no public name for it


class Request(NamedTuple):
    """A method to run, with a window of its own or ``None``."""

    method: str
    window: int | None

    @property
    def label(self) -> str:
        """What pictures and tables call it."""
        return self.method if self.window is None else f"{self.method}:{self.window}"


def add_command(
    commands: Commands, name: str, text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """A command that calls ``run``."""
    command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    command.set_defaults(run=run)
    return command


def add_recording(command: argparse.ArgumentParser) -> None:
    """The recording and its size."""
    command.add_argument("file", metavar="FILE", help="recording: a .dat, or a UHSR .npz")
    command.add_argument("--height", type=int, metavar="H", help="rows of a frame, for a .dat")
    command.add_argument("--width", type=int, metavar="W", help="columns of a frame, for a .dat")
    command.add_argument(
        "--no-strict", action="store_true", help="drop an incomplete last frame of the file"
    )


def add_methods(command: argparse.ArgumentParser, default: str) -> None:
    """Several methods."""
    command.add_argument(
        "--methods",
        default=default,
        metavar="M,M,...",
        help=f"of {', '.join(method_names())}; tfp:11 is tfp with a window of 11 frames (default "
        f"{default})",
    )


def add_rate(command: argparse.ArgumentParser) -> None:
    """What brightness is divided by."""
    command.add_argument(
        "--rate",
        type=float,
        default=1.0,
        metavar="R",
        help="spikes per frame at full brightness; not used by tfstp and spikeclip, whose images "
        "are stretched (default 1)",
    )


def add_tile(command: argparse.ArgumentParser) -> None:
    """Parts that a network makes an image in."""
    command.add_argument(
        "--tile",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="rows and columns of the parts that a network makes an image in, for frames that do "
        "not fit into memory otherwise",
    )


def method_names() -> list[str]:
    """Names of the registered methods, and of those that only make videos."""
    return [*METHODS, *(name for name in ("tfstp",) if name not in METHODS)]


def check_method(name: str) -> str:
    """The name in lower case.

    Raises:
        ValueError: no such method; the message suggests one.
    """
    if name.lower() not in (known.lower() for known in method_names()):
        raise ValueError(unknown_name("method", name, method_names()))
    return name.lower()


def parse_methods(text: str) -> list[Request]:
    """``"tfp:11,tfi"`` as requests.

    Raises:
        ValueError: unknown method, a window that is no number, one request twice, none at all.
    """
    requests = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, colon, window = part.partition(":")
        if colon and not re.fullmatch(r"[0-9]+", window):
            raise ValueError(f"{part!r}: the window must be a number of frames, as in tfp:11")
        requests.append(Request(check_method(name), int(window) if colon else None))
    if not requests:
        raise ValueError("--methods names no method")
    for request in requests:
        if requests.count(request) > 1:
            raise ValueError(f"--methods names {request.label} twice")
    return requests


def open_recording(arguments: argparse.Namespace) -> Spikes:
    """The recording as a stream ``[T, H, W]``; a ``.dat`` is decoded only where it is read.

    Raises:
        FileNotFoundError: no such file.
        ValueError: empty, truncated, of another size, or not 0 and 1.
    """
    source, size = Path(arguments.file), (arguments.height, arguments.width)
    if source.suffix.lower() != ".npz":
        return open_stream(source, *size, strict=not arguments.no_strict)
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such file")
    spikes = read_uhsr(source).spikes
    for axis, (given, found) in enumerate(zip(size, spikes.shape[1:], strict=True)):
        if given not in (None, found):
            what = ("height", "width")[axis]
            raise ValueError(f"{source}: a UHSR picture has {what} {found}, not {given}")
    return spikes


def check_target(path: Path) -> None:
    """Refuse a file whose folder is missing, before the work.

    Raises:
        FileNotFoundError: no such folder.
        IsADirectoryError: the file is a folder.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: folder {path.parent} does not exist; create it first")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give a file name")


def read_truth(path: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A paired image ``[H, W]`` in [0, 1].

    Raises:
        ValueError: it has another size.
    """
    truth = read_gray_image(path)
    if truth.shape != shape:
        raise ValueError(
            f"{path} is {truth.shape[0]}x{truth.shape[1]}, the reconstruction {shape[0]}x{shape[1]}"
        )
    return truth


def progress(total: int | None, what: str) -> AbstractContextManager[Progress]:
    """A bar on stderr where that is a terminal."""
    return progress_bar(total, what, enabled=sys.stderr.isatty(), unit=" images")
