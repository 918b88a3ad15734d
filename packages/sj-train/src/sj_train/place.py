"""Where this process stands in a launch, as the launcher's environment variables tell it."""

from __future__ import annotations

import argparse
import os
from typing import NamedTuple

from .errors import OptionError

__all__ = ["Place", "find_place"]


class Place(NamedTuple):
    """Number of this process among all, of all processes, and of this one on its machine."""

    rank: int
    world_size: int
    local_rank: int


def find_place(args: argparse.Namespace) -> Place | None:
    """The place that ``torchrun`` or SLURM gave; None for a single process.

    ``RANK WORLD_SIZE LOCAL_RANK`` of torchrun come first; without them, and with ``--world-size``
    above 1, ``SLURM_PROCID SLURM_LOCALID``.

    Raises:
        OptionError: variables are missing or contradict each other or the options.
    """
    place = _of_torchrun(args) or _of_slurm(args)
    if place is None:
        return None
    if not 0 <= place.rank < place.world_size:
        raise OptionError(
            f"process number {place.rank} is not one of {place.world_size}: RANK counts from 0 "
            "to WORLD_SIZE - 1"
        )
    if args.dist_url == "env://":
        missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
        if missing:
            raise OptionError(
                f"{' and '.join(missing)} not set: the processes cannot find each other; start "
                "them with torchrun, or set both to a host and a free port of process 0"
            )
        _number("MASTER_PORT")
    return place


def _of_torchrun(args: argparse.Namespace) -> Place | None:
    rank, world_size = _number("RANK"), _number("WORLD_SIZE")
    if rank is None and (world_size is None or world_size == 1):
        return None
    if rank is None or world_size is None:
        missing, found = ("RANK", "WORLD_SIZE") if rank is None else ("WORLD_SIZE", "RANK")
        raise OptionError(
            f"{found} is set, but {missing} is not: start the processes with torchrun, which sets "
            "both"
        )
    if args.world_size not in (1, world_size):
        raise OptionError(
            f"argument --world-size: {args.world_size}, but the launcher started {world_size} "
            "processes; leave the option out"
        )
    local_rank = _number("LOCAL_RANK")
    return Place(rank, world_size, (args.local_rank or 0) if local_rank is None else local_rank)


def _of_slurm(args: argparse.Namespace) -> Place | None:
    if args.world_size <= 1:
        return None
    rank, tasks = _number("SLURM_PROCID"), _number("SLURM_NTASKS")
    if rank is None:
        raise OptionError(
            f"argument --world-size: {args.world_size} processes need a launcher, for example "
            f"torchrun --nproc_per_node={args.world_size}"
        )
    if tasks not in (None, args.world_size):
        raise OptionError(
            f"argument --world-size: {args.world_size}, but SLURM started {tasks} tasks; start "
            f"them with srun --ntasks={args.world_size}"
        )
    return Place(rank, args.world_size, _number("SLURM_LOCALID") or 0)


def _number(name: str) -> int | None:
    text = os.environ.get(name)
    if not text:
        return None
    if not text.isdecimal():
        raise OptionError(f"environment variable {name} must be a number, got {text!r}")
    return int(text)
