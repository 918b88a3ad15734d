"""TensorBoard scalars, written by rank 0."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from . import distributed

__all__ = ["ScalarLog"]


class ScalarLog:
    """Writes one scalar per tag and epoch under ``folder``; a context manager.

    Args:
        folder: log folder, or None to write nothing.
        first_epoch: steps from here on that an earlier run left are dropped by the viewer.
    """

    def __init__(self, folder: Path | None, *, first_epoch: int = 0) -> None:
        self._writer = None
        if folder is not None and distributed.rank() == 0:
            # Loading tensorboard takes a while and is only needed by runs that log.
            from torch.utils.tensorboard.writer import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=first_epoch)

    def write(self, epoch: int, row: dict[str, float]) -> None:
        if self._writer is None:
            return
        for tag, value in row.items():
            self._writer.add_scalar(tag, value, epoch)
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
