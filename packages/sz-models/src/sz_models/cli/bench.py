"""``sz-models bench``: how fast the methods are on this machine.

After one run that is not timed, every method makes the same images several times; the median run
counts.  Networks run without weights, which do not change their speed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from sj_datasets.atomic import atomic_path

from ..models import BaseModel
from ..reconstruct import build_method
from ..reconstruct_video import reconstruct_video
from ..registry import build_model_cfg, default_config
from ..streams import Spikes
from .arguments import (
    Commands,
    Request,
    add_command,
    add_methods,
    add_recording,
    check_target,
    open_recording,
    parse_methods,
    progress,
)
from .tables import Row, table_lines, write_csv

__all__ = ["add"]

_SWEEPS = ("tfp", "tfi", "gtfp", "isi", "tfstp")
_DEFAULT_WINDOW = 41
_RELEASE = "v023"


def add(commands: Commands) -> None:
    """Tell argparse about the command."""
    command = add_command(commands, "bench", "measure the speed of methods", _run)
    add_recording(command)
    add_methods(command, "tfp,tfi,gtfp,isi")
    command.add_argument(
        "--images", type=int, metavar="N", help="of a run (default 100 as a video, 1 by a network)"
    )
    command.add_argument("--runs", type=int, default=5, metavar="N", help="timed runs (default 5)")
    command.add_argument("--version", "--release", metavar="V", help="of networks")
    command.add_argument("--csv", metavar="TABLE", help="table to write")


def _run(arguments: argparse.Namespace) -> int:
    requests = parse_methods(arguments.methods)
    for name in ("images", "runs"):
        if getattr(arguments, name) is not None and getattr(arguments, name) < 1:
            raise ValueError(f"--{name} must be at least 1, got {getattr(arguments, name)}")
    if arguments.csv is not None:
        check_target(Path(arguments.csv))
    stream = open_recording(arguments)
    makers = [_maker(request, stream, arguments) for request in requests]
    rows: list[Row] = []
    with progress(len(requests), "bench") as bar:
        for request, make in zip(requests, makers, strict=True):
            seconds, n_images = _median(make, arguments.runs)
            rows.append(
                {
                    "method": request.label,
                    "images": str(n_images),
                    "ms per image": seconds / n_images * 1e3,
                    "images per s": n_images / seconds,
                }
            )
            bar.update()
    if arguments.csv is not None:
        with atomic_path(arguments.csv) as temporary:
            write_csv(temporary, rows)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print("\n".join(table_lines(rows)))
    print(
        f"{stream.shape[1]}x{stream.shape[2]} pixels, median of {arguments.runs} runs after one "
        f"more, decoding included; {device}, {torch.get_num_threads()} threads"
    )
    return 0


def _median(make: Callable[[], Iterator[Tensor]], runs: int) -> tuple[float, int]:
    """Seconds of the median run and its images; images come to the CPU, so the device is done."""
    n_images = sum(1 for _ in make())
    times = []
    for _ in range(runs):
        images = make()
        begin = time.perf_counter()
        for _ in images:
            pass
        times.append(time.perf_counter() - begin)
    return statistics.median(times), n_images


def _maker(
    request: Request, stream: Spikes, arguments: argparse.Namespace
) -> Callable[[], Iterator[Tensor]]:
    """What makes the images of a run; raises here what is wrong with the request."""
    middle = stream.shape[0] // 2
    if request.method in _SWEEPS:
        first, stop = _middle_keys(request, stream, arguments.images or 100)

        def video() -> Iterator[Tensor]:
            return reconstruct_video(
                stream, request.method, start=first, stop=stop, window=request.window
            )

        return video
    model = _model(request, arguments.version)

    def single() -> Iterator[Tensor]:
        for _ in range(arguments.images or 1):
            with torch.inference_mode():
                image = model.image_at(stream, middle).float().cpu()
            yield image

    return single


def _middle_keys(request: Request, stream: Spikes, count: int) -> tuple[int | None, int | None]:
    """Key frames around the middle whose windows lie in the stream."""
    half = (request.window or _DEFAULT_WINDOW) // 2
    count = min(count, stream.shape[0] - 2 * half)
    if count < 1:
        return None, None  # all that the method can make, or its error
    first = half + (stream.shape[0] - 2 * half - count) // 2
    return first, first + count


def _model(request: Request, version: str | None) -> BaseModel:
    cfg = default_config(request.method)
    if not cfg.require_params or request.window is not None:
        return build_method(request.method, {"window": request.window})
    if version is None:
        version = _RELEASE if _RELEASE in cfg.model_length_dict else "local"
    return build_model_cfg(cfg).build_network("debug", version)
