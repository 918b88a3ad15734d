"""Scalars of a finished or running log, for plots and summaries."""

from __future__ import annotations

import math
from pathlib import Path

from .errors import DataError, DataNotFoundError
from .scalars import JSONL, read_rows

__all__ = ["Curve", "read_log"]

Curve = list[tuple[int, float]]


def read_log(path: str | Path) -> dict[str, Curve]:
    """Tag -> (epoch, value) pairs of a log folder, a ``.jsonl`` file or a TensorBoard file.

    A folder's ``scalars.jsonl`` is preferred; logs of other programs are read from their
    TensorBoard files.

    Raises:
        DataNotFoundError: the path is missing.
        DataError: it holds no scalars.
    """
    path = Path(path)
    if not path.exists():
        raise DataNotFoundError(f"the log {path} does not exist")
    lines = path / JSONL if path.is_dir() else path
    if lines.suffix == ".jsonl" and lines.is_file():
        curves: dict[str, Curve] = {}
        for row in read_rows(lines):
            for tag, value in row.items():
                if tag != "epoch":
                    number = math.nan if value is None else float(value)
                    curves.setdefault(tag, []).append((row["epoch"], number))
    else:
        curves = _read_events(path)
    if not curves:
        raise DataError(f"{path} holds no scalars: it is not the folder or file of a log")
    return curves


def _read_events(path: Path) -> dict[str, Curve]:
    if path.is_dir() and not any(path.glob("events.out.tfevents.*")):
        return {}
    if path.is_file() and "tfevents" not in path.name:
        return {}
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(path))
    events.Reload()
    return {
        tag: [(event.step, float(event.value)) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }
