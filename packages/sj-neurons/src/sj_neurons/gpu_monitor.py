"""A thread that samples how busy GPUs are, by asking `nvidia-smi`."""

from __future__ import annotations

import csv
import logging
import math
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["GPUMonitor"]

_COLUMNS: tuple[str, ...] = ("time", "gpu", "utilization_percent", "memory_used_mib")
_log = logging.getLogger(__name__)


class GPUMonitor:
    """Samples utilization and used memory of GPUs every `interval` seconds, in the background.

    Each sample is a dict with `time` (seconds since the epoch), `gpu`, `utilization_percent` and
    `memory_used_mib` (NaN where the driver does not tell). It is appended to `records`, logged at
    level INFO, and, with a `log_dir`, written as one row of `gpu_monitor.csv` in there.

    Args:
        log_dir: folder of the CSV file, made if missing; no file if `None`.
        gpu_ids: indices as `nvidia-smi` counts them.
        interval: seconds from one sample to the next, above 0.
        start_now: start at once, or wait for :meth:`start`.

    Raises:
        ValueError: no GPU is named, or `interval` is not above 0.
        FileNotFoundError: on start, where `nvidia-smi` is not installed.

    Example:
        >>> with GPUMonitor(interval=1.0) as gpu:      # doctest: +SKIP
        ...     train(net)
        >>> max(sample["memory_used_mib"] for sample in gpu.records)      # doctest: +SKIP
    """

    def __init__(
        self,
        log_dir: str | Path | None = None,
        gpu_ids: Sequence[int] = (0,),
        interval: float = 600.0,
        start_now: bool = True,
    ) -> None:
        if not gpu_ids:
            raise ValueError("GPUMonitor: gpu_ids must name at least one GPU, such as (0,)")
        if not interval > 0:
            raise ValueError(f"GPUMonitor: interval must be above 0 s, got {interval}")
        self.path = None if log_dir is None else Path(log_dir) / "gpu_monitor.csv"
        self.gpu_ids = tuple(gpu_ids)
        self.interval = interval
        self.records: list[dict[str, float]] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        if start_now:
            self.start()

    def start(self) -> None:
        """Sample from now on; no effect while it is running."""
        if self._thread is not None:
            return
        program = shutil.which("nvidia-smi")
        if program is None:
            raise FileNotFoundError(
                "GPUMonitor needs nvidia-smi on PATH; it comes with the NVIDIA driver"
            )
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, args=(program,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop sampling and wait for the thread to end; the records stay."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, program: str) -> None:
        while True:
            try:
                self._sample(program)
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                _log.warning("GPUMonitor stops: %s", error)
                return
            if self._stop.wait(self.interval):
                return

    def _sample(self, program: str) -> None:
        query = "--query-gpu=index,utilization.gpu,memory.used"
        ids = ",".join(map(str, self.gpu_ids))
        answer = subprocess.run(
            [program, query, "--format=csv,noheader,nounits", "-i", ids],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        now = time.time()
        rows = [line.split(",") for line in answer.stdout.splitlines() if line.strip()]
        samples: list[dict[str, float]] = [
            dict(zip(_COLUMNS, (now, int(gpu), _number(busy), _number(used)), strict=True))
            for gpu, busy, used in rows
        ]
        self.records += samples
        for sample in samples:
            _log.info("%s", sample)
        if self.path is not None:
            self._write(self.path, samples)

    def _write(self, path: Path, samples: list[dict[str, float]]) -> None:
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _COLUMNS)
            if new:
                writer.writeheader()
            writer.writerows(samples)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _number(text: str) -> float:
    return math.nan if text.strip().startswith("[") else float(text)  # such as [N/A]
