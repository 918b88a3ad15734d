"""Start of a Trainer run: processes, device, output folders."""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from . import distributed, files
from .errors import OptionError, OutputError, RunExistsError

__all__ = ["check_folders", "claim_folders", "leave_processes", "start_processes"]


def start_processes(args: argparse.Namespace) -> torch.device:
    """Join the other processes of a ``torchrun`` or SLURM launch; returns this one's device.

    Sets ``args.distributed``, ``args.rank``, ``args.world_size`` and ``args.gpu``.
    """
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise OptionError(
            f"argument --device: {args.device} is not available on this machine; use --device cpu"
        )
    place = _place_in_launch(args)
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
    _join("nccl" if device.type == "cuda" else "gloo", args)
    return device


def _join(backend: str, args: argparse.Namespace) -> None:
    place: dict[str, Any] = {"rank": args.rank, "world_size": args.world_size}
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT")
    one_node = os.environ.get("LOCAL_WORLD_SIZE") == str(args.world_size)
    if args.dist_url == "env://" and restart is not None and one_node:
        # torchrun keeps its store over a restart, and with it the addresses of dead processes.
        # On several nodes the count may differ; there torchrun makes a new store if
        # TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 is set.
        store, _, _ = next(rendezvous(args.dist_url, args.rank, args.world_size))
        dist.init_process_group(backend, store=PrefixStore(f"restart_{restart}", store), **place)
    else:
        dist.init_process_group(backend, init_method=args.dist_url, **place)


def leave_processes(*, wait: bool) -> None:
    """Leave the group that :func:`start_processes` joined.

    Args:
        wait: for the others, which may still write files; not after an error.
    """
    if wait:
        dist.barrier()
    # A wrapped model keeps the group's threads alive; freed only when the interpreter ends,
    # they can abort the process.
    gc.collect()
    dist.destroy_process_group()


def _place_in_launch(args: argparse.Namespace) -> tuple[int, int, int] | None:
    """Rank, world size and local rank, or None for a single process."""
    env = os.environ
    if "RANK" in env and "WORLD_SIZE" in env:
        local_rank = int(env.get("LOCAL_RANK", args.local_rank or 0))
        return int(env["RANK"]), int(env["WORLD_SIZE"]), local_rank
    if args.world_size > 1 and "SLURM_PROCID" in env:
        return int(env["SLURM_PROCID"]), args.world_size, int(env.get("SLURM_LOCALID", 0))
    if args.world_size > 1:
        raise OptionError(
            f"argument --world-size: {args.world_size} processes need a launcher, for example "
            f"torchrun --nproc_per_node={args.world_size}"
        )
    return None


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
    """
    if distributed.rank() == 0:
        folders = (log_dir, checkpoint_dir)
        if args.clean:
            _delete([folder for folder in folders if folder.exists()], keep=args.resume)
        for folder in folders:
            files.prepare_folder(folder)
        text = f"{args}\n{' '.join(sys.argv)}\n"
        files.write_atomic(log_dir / "args.txt", lambda file: file.write(text.encode()))
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
