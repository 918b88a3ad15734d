"""Scalars of a run, written by rank 0: TensorBoard, JSON lines and CSV.

events.out.tfevents.*    TensorBoard
scalars.jsonl            one object per epoch: {"epoch": 0, "train_loss": 0.7, ...}
scalars.csv              the same as a table
"""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from types import TracebackType
from typing import Any

from . import distributed, files
from .errors import OutputError

__all__ = ["ScalarLog", "read_rows"]

JSONL = "scalars.jsonl"
CSV = "scalars.csv"


class ScalarLog:
    """Writes one scalar per tag and epoch under ``folder``; a context manager.

    Args:
        folder: log folder, or None to write nothing.
        first_epoch: what an earlier run left from here on is dropped.
    """

    def __init__(self, folder: Path | None, *, first_epoch: int = 0) -> None:
        self._writer = None
        self._folder = folder
        self._rows: list[dict[str, Any]] = []
        if folder is not None and distributed.rank() == 0:
            # Loading tensorboard takes a while and is only needed by runs that log.
            from torch.utils.tensorboard.writer import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=first_epoch)
            if first_epoch and (folder / JSONL).is_file():
                self._rows = [r for r in read_rows(folder / JSONL) if r["epoch"] < first_epoch]

    def write(self, epoch: int, row: dict[str, float]) -> None:
        """Add the scalars of an epoch.

        Raises:
            OutputError: the folder is gone, not writable or full.
        """
        if self._writer is None or self._folder is None:
            return
        try:
            for tag, value in row.items():
                self._writer.add_scalar(tag, value, epoch)
            self._writer.flush()
        except OSError as error:
            # tensorboard's thread for writing has ended: closing it would raise the same.
            self._writer = None
            raise OutputError(f"cannot write in {self._folder}: {error.strerror}") from error
        # JSON has no NaN.
        finite = {tag: v if math.isfinite(v) else None for tag, v in row.items()}
        self._rows.append({"epoch": epoch} | finite)
        lines = "".join(json.dumps(row) + "\n" for row in self._rows)
        files.write_atomic(self._folder / JSONL, lambda file: file.write(lines.encode()))
        table = _as_csv(self._rows)
        files.write_atomic(self._folder / CSV, lambda file: file.write(table.encode()))

    def write_figure(self, epoch: int, tag: str, figure: Any) -> None:
        """A matplotlib figure, for TensorBoard and as ``<tag>/<epoch>.png``."""
        if self._writer is None or self._folder is None:
            return
        folder = self._folder / tag
        files.prepare_folder(folder)
        files.write_atomic(
            folder / f"{epoch}.png", lambda file: figure.savefig(file, format="png", dpi=100)
        )
        self._writer.add_figure(tag, figure, epoch)
        self._writer.flush()

    def __enter__(self) -> ScalarLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a ``scalars.jsonl``; lines that are no row are left out."""
    rows: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("epoch"), int):
            rows.append(row)
    return rows


def _as_csv(rows: list[dict[str, Any]]) -> str:
    tags = list(dict.fromkeys(tag for row in rows for tag in row))
    text = io.StringIO()
    table = csv.DictWriter(text, tags, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
