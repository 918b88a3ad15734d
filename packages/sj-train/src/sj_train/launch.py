"""Start of a Trainer run: processes, device, output folders."""

from __future__ import annotations

import argparse
import gc
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from . import distributed, files
from .errors import CheckpointError, LaunchError, OptionError, OutputError, RunExistsError
from .fresh_store import fresh_store
from .place import Place, find_place

__all__ = [
    "check_folders",
    "check_same_start",
    "claim_folders",
    "leave_processes",
    "lost_processes_named",
    "run_folders",
    "start_processes",
]


def start_processes(args: argparse.Namespace) -> torch.device:
    """Join the other processes of a ``torchrun`` or SLURM launch; returns this one's device.

    Sets ``args.distributed``, ``args.rank``, ``args.world_size`` and ``args.gpu``.

    Raises:
        OptionError: the device or the launcher's variables cannot be used.
        LaunchError: the processes do not find each other.
    """
    try:
        device = torch.device(args.device)
    except RuntimeError as error:
        raise OptionError(f"argument --device: must be cpu or cuda, got {args.device!r}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise OptionError(
            f"argument --device: {args.device} is not available on this machine; use --device cpu"
        )
    place = find_place(args)
    args.distributed = place is not None
    args.rank, args.gpu = 0, None
    if place is None:
        return device
    args.rank, args.world_size, local_rank = place
    if device.type == "cuda":
        if local_rank >= torch.cuda.device_count():
            raise OptionError(
                f"local rank {local_rank} has no GPU: {torch.cuda.device_count()} are visible; "
                "start fewer processes per node"
            )
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
        args.gpu = local_rank
    try:
        _join("nccl" if device.type == "cuda" else "gloo", args.dist_url, place)
    except (ValueError, RuntimeError, TimeoutError) as error:
        reason = next((line for line in str(error).splitlines() if line), type(error).__name__)
        raise LaunchError(
            f"process {place.rank} of {place.world_size} cannot join the others at "
            f"{_meeting_point(args.dist_url)}: {reason}"
        ) from error
    return device


def _join(backend: str, url: str, place: Place) -> None:
    members: dict[str, Any] = {"rank": place.rank, "world_size": place.world_size}
    if url == "env://" and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        store, _, _ = next(rendezvous(url, place.rank, place.world_size))
        store = fresh_store(store, place.rank, place.world_size)
        dist.init_process_group(backend, store=store, **members)
    else:
        dist.init_process_group(backend, init_method=url, **members)


def _meeting_point(url: str) -> str:
    if url != "env://":
        return f"--dist-url {url}"
    return f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"


@contextmanager
def lost_processes_named() -> Iterator[None]:
    """Turns what torch raises when another process is gone into a :class:`LaunchError`."""
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if not isinstance(error, dist.DistError) and "gloo" not in text:
            raise
        found = re.search(r"(Connection|Broken|Timed out)[^.\n]*", text)
        reason = found.group(0) if found else text.partition("\n")[0]
        raise LaunchError(
            f"process {distributed.rank()} lost another process ({reason}); look for the first "
            "error of the others, then go on with --resume latest"
        ) from error


def leave_processes(*, wait: bool) -> None:
    """Leave the group that :func:`start_processes` joined.

    Args:
        wait: for the others, which may still write files; not after an error.
    """
    if wait:
        with lost_processes_named():
            dist.barrier()
    # A wrapped model keeps the group's threads alive; freed only when the interpreter ends,
    # they can abort the process.
    gc.collect()
    dist.destroy_process_group()


def check_same_start(epoch: int, step: int) -> None:
    """Refuse to go on from different points on different processes.

    Args:
        epoch: the coming epoch on this process.
        step: its next batch.

    Raises:
        CheckpointError: some processes have read no checkpoint or an older one.
    """
    points = distributed.all_gather((epoch, step))
    for rank, point in enumerate(points):
        if point != points[0]:
            raise CheckpointError(
                f"process 0 goes on at epoch {points[0][0]}, batch {points[0][1]}, but process "
                f"{rank} at epoch {point[0]}, batch {point[1]}: --output-dir must be a folder that "
                "all machines share"
            )


def run_folders(output_dir: str, name: str) -> tuple[Path, Path]:
    """Log and checkpoint folder of the run ``name``.

    Raises:
        OptionError: they would be no folders of this run alone, which ``--clean`` may delete.
    """
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts or parts[0] == "pt":
        raise OptionError(
            f"get_tb_logdir_name (from --model and others) gave {name!r}: a run needs a name for "
            "a folder of its own within --output-dir, other than pt"
        )
    return Path(output_dir) / name, Path(output_dir) / "pt" / name


def check_folders(args: argparse.Namespace, log_dir: Path, checkpoint_dir: Path) -> None:
    """Refuse the folders of an earlier run, unless it is resumed or deleted.

    Raises:
        RunExistsError: names ``--resume`` and ``--clean``.
    """
    # Other ranks may see what rank 0 has just created.
    if distributed.rank() != 0 or args.resume is not None or args.clean:
        return
    for folder in (log_dir, checkpoint_dir):
        if folder.exists():
            raise RunExistsError(
                f"{folder} exists already; use --resume latest to go on with that run or --clean "
                "to delete it"
            )


def claim_folders(args: argparse.Namespace, log_dir: Path, checkpoint_dir: Path) -> None:
    """Create the folders of a run on rank 0 and write ``args.txt``.

    Raises:
        OutputError: they cannot be written.
        RunExistsError: another run has made them in the meantime.
    """
    if distributed.rank() == 0:
        check_folders(args, log_dir, checkpoint_dir)
        folders = (log_dir, checkpoint_dir)
        if args.clean:
            _delete([folder for folder in folders if folder.exists()], keep=args.resume)
        for folder in folders:
            files.prepare_folder(folder)
        # Names of files need not be text.
        text = f"{args}\n{' '.join(sys.argv)}\n".encode(errors="backslashreplace")
        files.write_atomic(log_dir / "args.txt", lambda file: file.write(text))
    if distributed.is_initialised():
        dist.barrier()


def _delete(folders: list[Path], *, keep: str | None) -> None:
    for folder in folders:
        if keep is not None and folder.resolve() in Path(keep).resolve().parents:
            raise OptionError("argument --clean: would delete the checkpoint that --resume needs")
    for folder in folders:
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise OutputError(f"cannot delete {folder}: {error.strerror or error}") from error
