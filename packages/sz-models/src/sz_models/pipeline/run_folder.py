"""The folder of one run: settings, log, tables and images."""

from __future__ import annotations

import csv
import dataclasses
import logging
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sj_datasets.atomic import atomic_path

__all__ = ["RunFolder", "new_run_folder"]

_log = logging.getLogger("sz_models.pipeline")
_DEFAULT_FOLDER = "results"


class RunFolder:
    """What a run writes.  Made by :func:`new_run_folder`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def log(self, line: str) -> None:
        """Add a line to ``result.log`` and to the logger ``sz_models.pipeline``."""
        _log.info("%s", line)
        with (self.path / "result.log").open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {line}\n")

    def write_config(self, name: str, cfgs: Iterable[Any]) -> None:
        """Write dataclasses as lines ``key = value`` to ``cfg_<name>.log``."""
        blocks = [
            "".join(f"{f.name} = {getattr(cfg, f.name)}\n" for f in dataclasses.fields(cfg))
            for cfg in cfgs
        ]
        with atomic_path(self.path / f"cfg_{name}.log") as temporary:
            temporary.write_text("\n".join(blocks), encoding="utf-8")

    def write_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
        """Write rows of equal keys to ``<name>.csv``; returns its path."""
        path = self.path / f"{name}.csv"
        with (
            atomic_path(path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
        return path

    def subfolder(self, *parts: str) -> Path:
        """A folder inside the run, made if absent."""
        folder = self.path.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def new_run_folder(
    save_folder: str | os.PathLike[str] = "", exp_name: str = "", kind: str = "detect"
) -> RunFolder:
    """Make ``<save_folder>/<kind>/<exp_name>``, always a new folder.

    Args:
        save_folder: ``results`` if empty.
        exp_name: one folder name; if empty, a time stamp that no other run has.
        kind: ``detect`` or ``train``.

    Raises:
        FileExistsError: there is such a run; nothing in it is touched.
        ValueError: ``exp_name`` is no plain folder name.
    """
    parent = Path(save_folder or _DEFAULT_FOLDER) / kind
    if exp_name:
        if Path(exp_name).name != exp_name or exp_name in (".", ".."):
            raise ValueError(f"exp_name must be one folder name, got {exp_name!r}")
        try:
            (parent / exp_name).mkdir(parents=True)
        except FileExistsError as error:
            raise FileExistsError(
                f"{parent / exp_name} exists and is kept: choose another exp_name, or leave it "
                "empty for a time stamp"
            ) from error
        return RunFolder(parent / exp_name)
    now = datetime.now()
    stamp = f"{now:%Y-%m-%d_%H-%M-%S}-{now.microsecond // 1000:03d}"
    repeat = 0
    while True:
        path = parent / (f"{stamp}-{repeat}" if repeat else stamp)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            if not path.exists():  # a file is where a parent folder should be
                raise
            repeat += 1
        else:
            return RunFolder(path)


def _cell(value: Any) -> Any:
    return "" if isinstance(value, float) and math.isnan(value) else value
