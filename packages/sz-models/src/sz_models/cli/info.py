"""``sz-models info``: what is in a recording."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from sj_datasets import SpikeStream

from ..streams import Spikes
from .arguments import Commands, add_command, add_recording, open_recording

__all__ = ["add"]

_CAMERAS = (20_000, 40_000)  # frames a second


def add(commands: Commands) -> None:
    """Tell argparse about the command."""
    add_recording(add_command(commands, "info", "describe a recording", _run))


def _run(arguments: argparse.Namespace) -> int:
    stream = open_recording(arguments)
    n_frames, height, width = stream.shape
    rates = _counts(stream) / n_frames
    seconds = ", ".join(f"{n_frames / hz * 1e3:.6g} ms at {hz // 1000} kHz" for hz in _CAMERAS)
    print(f"file      {arguments.file}, {Path(arguments.file).stat().st_size} bytes")
    print(f"frames    {n_frames} of {height} x {width} pixels")
    print(f"duration  {seconds}")
    print(f"rate      mean {rates.mean():.4f} spikes per frame and pixel")
    for name, index in (("darkest", rates.argmin()), ("brightest", rates.argmax())):
        row, column = divmod(int(index), width)
        print(f"{name:9} {rates[row, column]:.4f} at row {row}, column {column}")
    print(f"silent    {np.count_nonzero(rates == 0)} of {rates.size} pixels")
    return 0


def _counts(stream: Spikes) -> np.ndarray:
    """Spikes of each pixel, ``[H, W]``."""
    if not isinstance(stream, SpikeStream):
        return np.asarray(stream).sum(0, dtype=np.int64)
    counts = np.zeros(stream.shape[1:], np.int64)
    for block in stream.chunks():
        counts += block.sum(0, dtype=np.int64)
    return counts
