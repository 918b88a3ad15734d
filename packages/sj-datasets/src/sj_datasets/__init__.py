"""Event-camera and spike-camera data: files, simulation, datasets. No torch needed."""

from . import spike_camera
from .spike_camera import (
    SpikeStream,
    load_vidar_dat,
    save_vidar_dat,
    simulate_image,
    simulate_spikes,
)

__version__ = "0.1.0"

__all__ = [
    "SpikeStream",
    "load_vidar_dat",
    "save_vidar_dat",
    "simulate_image",
    "simulate_spikes",
    "spike_camera",
]
