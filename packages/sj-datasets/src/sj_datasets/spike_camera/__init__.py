"""Spike-camera data: ``.dat`` recordings, streams larger than memory, simulation."""

from .dat import load_vidar_dat, save_vidar_dat
from .media import iter_gray_frames, read_gray_image
from .packing import frame_nbytes, pack_frames, unpack_frames
from .simulate import iter_spikes, simulate_image, simulate_spikes
from .stream import SpikeStream

__all__ = [
    "SpikeStream",
    "frame_nbytes",
    "iter_gray_frames",
    "iter_spikes",
    "load_vidar_dat",
    "pack_frames",
    "read_gray_image",
    "save_vidar_dat",
    "simulate_image",
    "simulate_spikes",
    "unpack_frames",
]
