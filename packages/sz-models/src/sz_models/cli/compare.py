"""``sz-models compare``: several methods on one recording, as a picture and a table."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sj_datasets.atomic import atomic_path

from ..images import check_image_path, to_uint8
from ..metrics import check_metric, compute_metric, needs_truth
from ..registry import default_config, find_method
from ..streams import Spikes
from .arguments import (
    Commands,
    Request,
    add_command,
    add_methods,
    add_rate,
    add_recording,
    add_tile,
    check_target,
    open_recording,
    parse_methods,
    progress,
    read_truth,
)
from .images import image_at
from .sheet import Panel, contact_sheet
from .tables import Row, table_lines, write_csv

__all__ = ["add"]

_SHEET = "compare.png"
_ODD_RATE = 0.1
_FRAMES = 100
_UNITS = {"psnr": "PSNR {:.2f} dB", "ssim": "SSIM {:.3f}"}


def add(commands: Commands) -> None:
    """Tell argparse about the command."""
    command = add_command(commands, "compare", "compare methods on one recording", _run)
    add_recording(command)
    add_methods(command, "tfp,tfi,gtfp,isi")
    command.add_argument(
        "-o",
        "--output",
        default=_SHEET,
        metavar="SHEET",
        help=f"contact sheet to write (default {_SHEET})",
    )
    command.add_argument("--csv", metavar="TABLE", help="table to write")
    command.add_argument("--gt", "--truth", metavar="IMAGE", help="paired image")
    command.add_argument(
        "--metrics", metavar="M,M,...", help="default psnr,ssim with --gt, else none"
    )
    command.add_argument(
        "--frame", "--key-frame", type=int, metavar="K", help="key frame (default the middle one)"
    )
    add_rate(command)
    add_tile(command)
    command.add_argument(
        "--version", "--release", metavar="V", help="released weights (default v023)"
    )
    command.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="weight file of a network; may be repeated",
    )


def _run(arguments: argparse.Namespace) -> int:
    requests = parse_methods(arguments.methods)
    weights = _weight_files(arguments.weights, requests)
    metrics = _metric_names(arguments)
    check_image_path(arguments.output)
    targets = [Path(path) for path in (arguments.output, arguments.csv) if path is not None]
    if len(targets) == 2 and targets[0].resolve() == targets[1].resolve():
        raise ValueError(f"{targets[0]} cannot be both the sheet and the table")
    for target in targets:
        check_target(target)
    stream = open_recording(arguments)
    truth = None if arguments.gt is None else read_truth(arguments.gt, tuple(stream.shape[1:]))
    rows: list[Row] = []
    panels: list[Panel] = []
    with progress(len(requests), "compare") as bar:
        for request in requests:
            begin = time.perf_counter()
            image = image_at(
                stream,
                request.method,
                key_frame=arguments.frame,
                window=request.window,
                sigma=None,
                rate=arguments.rate,
                version=_release(arguments.version, request, weights),
                weights=weights.get(request.method),
                tile=arguments.tile,
            )
            seconds = time.perf_counter() - begin
            values = {name: compute_metric(name, image, truth) for name in metrics}
            rows.append({"method": request.label, **values, "seconds": seconds})
            panels.append(Panel(to_uint8(image), _label(request, values)))
            bar.update()
    if truth is not None:
        panels.append(Panel(to_uint8(truth), "ground truth"))
    _write(arguments, panels, rows)
    print("\n".join(table_lines(rows)))
    if arguments.output == _SHEET:
        print(f"{_SHEET}: the images side by side", file=sys.stderr)
    if truth is not None and arguments.rate == 1.0:
        _hint_at_rate(stream, truth, str(arguments.gt))
    return 0


def _hint_at_rate(stream: Spikes, truth: NDArray[np.float32], name: str) -> None:
    """Say so if the recording is much darker or brighter than the paired image."""
    first = max(0, stream.shape[0] // 2 - _FRAMES // 2)
    spikes = np.asarray(stream[first : first + _FRAMES])
    rate = float(spikes.mean() / max(truth.mean(), 1e-6))
    if rate > 0 and abs(rate - 1) > _ODD_RATE:
        print(
            f"hint: the recording is {rate:.2f} times as bright as {name}; --rate {rate:.2f} "
            "compares like with like",
            file=sys.stderr,
        )


def _write(arguments: argparse.Namespace, panels: list[Panel], rows: list[Row]) -> None:
    """Both files or neither: they take their names when both are complete."""
    with ExitStack() as files:
        temporary = files.enter_context(atomic_path(arguments.output))
        contact_sheet(panels).save(temporary)
        if arguments.csv is not None:
            write_csv(files.enter_context(atomic_path(arguments.csv)), rows)


def _label(request: Request, values: dict[str, float]) -> str:
    texts = [_UNITS.get(name, name + " {:.3g}").format(value) for name, value in values.items()]
    return "  ".join([request.label, *texts])


def _metric_names(arguments: argparse.Namespace) -> list[str]:
    if arguments.metrics is None:
        return [] if arguments.gt is None else ["psnr", "ssim"]
    names = [name.strip().lower() for name in arguments.metrics.split(",") if name.strip()]
    for name in dict.fromkeys(names):
        if needs_truth(name) and arguments.gt is None:
            raise ValueError(f"metric {name!r} compares with a true image: give --gt")
        check_metric(name)
    return list(dict.fromkeys(names))


def _weight_files(given: list[str], requests: list[Request]) -> dict[str, str]:
    asked = {request.method for request in requests}
    files = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not (equals and path):
            raise ValueError(f"--weights must be NAME=FILE, got {text!r}")
        if name.lower() not in asked:
            raise ValueError(f"--weights {text}: {name!r} is not among --methods")
        files[name.lower()] = path
    return files


def _release(version: str | None, request: Request, weights: dict[str, str]) -> str | None:
    """Only a network without a file of its own has a release to choose."""
    if version is None or request.method in weights or find_method(request.method) is None:
        return None
    return version if default_config(request.method).require_params else None
