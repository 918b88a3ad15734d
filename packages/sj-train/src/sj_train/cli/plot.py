"""Curves of one or several logs in one picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .. import files
from ..errors import OptionError, OutputError
from ..extras import require
from ..read_log import Curve, read_log

__all__ = ["add_arguments", "draw_curves", "execute"]

FORMATS = (".png", ".svg", ".pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("logs", metavar="LOG", nargs="+", help="log folders or files")
    parser.add_argument(
        "--tag",
        dest="tags",
        action="append",
        help="scalar to draw, may be repeated (default: train_loss, test_loss, test_acc1)",
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
    tags = args.tags or [t for t in ("train_loss", "test_loss", "test_acc1") if t in known]
    for tag in tags or known[:1]:
        if tag not in known:
            raise OptionError(f"argument --tag: no log has {tag!r}; known are {', '.join(known)}")
    figure = draw_curves(logs, tags or known[:1])
    kind = output.suffix[1:]
    files.write_atomic(output, lambda file: figure.savefig(file, format=kind, dpi=120))
    print(output)


def draw_curves(logs: dict[str, dict[str, Curve]], tags: list[str]) -> Any:
    """A matplotlib figure with a panel per tag and a line per log."""
    figure = require("matplotlib.figure", "plot").Figure(
        figsize=(4.5 * len(tags), 3.4), layout="constrained"
    )
    for index, tag in enumerate(tags, start=1):
        axes = figure.add_subplot(1, len(tags), index)
        axes.set_title(tag)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        for name, curves in zip(_short_names(list(logs)), logs.values(), strict=True):
            if tag in curves:
                epochs, values = zip(*curves[tag], strict=True)
                axes.plot(epochs, values, label=name, marker="." if len(epochs) < 30 else "")
        if len(logs) > 1:
            axes.legend(fontsize=8)
    return figure


def _short_names(paths: list[str]) -> list[str]:
    """Last part of each path, or the whole where that would not tell them apart."""
    names = [Path(path).resolve().name for path in paths]
    return [p if names.count(n) > 1 else n for n, p in zip(names, paths, strict=True)]
