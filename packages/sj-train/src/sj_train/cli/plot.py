"""Curves of one or several logs in one picture."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import Any

from .. import files
from ..errors import OptionError, OutputError
from ..extras import require
from ..read_log import Curve, read_log

__all__ = ["add_arguments", "draw_curves", "execute"]

FORMATS = (".png", ".svg", ".pdf")
_DRAWN = ("train_loss", "test_loss", "test_acc1", "test_acc", "test_psnr", "test_ssim")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("logs", metavar="LOG", nargs="+", help="log folders or files")
    parser.add_argument(
        "--tag",
        dest="tags",
        action="append",
        help="scalar to draw, may be repeated (default: losses and test scores)",
    )
    parser.add_argument("--output", default="curves.png", help="picture (.png, .svg or .pdf)")


def execute(args: argparse.Namespace, words: list[str]) -> None:
    output = Path(args.output)
    if output.suffix not in FORMATS:
        raise OptionError(f"argument --output: must end in {', '.join(FORMATS)}, got {output}")
    if not output.parent.is_dir():
        raise OutputError(f"the folder {output.parent} does not exist")
    logs = {path: read_log(path) for path in args.logs}
    known = sorted({tag for log in logs.values() for tag in log})
    tags = args.tags or [t for t in _DRAWN if t in known]
    for tag in tags or known[:1]:
        if tag not in known:
            raise OptionError(f"argument --tag: no log has {tag!r}; known are {', '.join(known)}")
    figure = draw_curves(logs, tags or known[:1])
    kind = output.suffix[1:]
    files.write_atomic(output, lambda file: figure.savefig(file, format=kind, dpi=120))
    print(output)


def draw_curves(logs: dict[str, dict[str, Curve]], tags: list[str]) -> Any:
    """A matplotlib figure with a panel per tag and a line per log."""
    width = 4.5 * len(tags)
    names = [textwrap.fill(name, int(14 * width)) for name in _short_names(list(logs))]
    lines = sum(name.count("\n") + 1 for name in names) if len(logs) > 1 else 0
    figure = require("matplotlib.figure", "plot").Figure(
        figsize=(width, 3.4 + 0.17 * lines), layout="constrained"
    )
    for index, tag in enumerate(tags, start=1):
        axes = figure.add_subplot(1, len(tags), index)
        axes.set_title(tag)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.3)
        for number, curves in enumerate(logs.values()):
            if tag in curves:
                epochs, values = zip(*curves[tag], strict=True)
                mark = "." if len(epochs) < 30 else ""
                axes.plot(epochs, values, color=f"C{number}", marker=mark)
    if len(logs) > 1:
        line = require("matplotlib.lines", "plot").Line2D
        handles = [line([], [], color=f"C{number}", label=n) for number, n in enumerate(names)]
        figure.legend(handles=handles, loc="outside lower left", fontsize=8, frameon=False)
    return figure


def _short_names(paths: list[str]) -> list[str]:
    """Last part of each path, or the whole where that would not tell them apart.

    Options that all names share, such as ``_wd0.0``, are left out.
    """
    names = [Path(path).resolve().name for path in paths]
    names = [p if names.count(n) > 1 else n for n, p in zip(names, paths, strict=True)]
    parts = [name.split("_") for name in names]
    shared = set(parts[0]).intersection(*parts[1:])
    short = ["_".join(part for part in own if part not in shared) for own in parts]
    return short if len(set(short)) == len(short) and all(short) else names
