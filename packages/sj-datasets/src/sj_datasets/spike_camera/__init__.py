"""Spike-camera data: recordings, streams larger than memory, simulation, paired datasets."""

from .augment import Augmentor, augment
from .blur import BlurConfig, BlurWindow, iter_blur_windows, simulate_dataset
from .dat import load_vidar_dat, merge_vidar_dat, save_vidar_dat
from .datasets import (
    DATASETS,
    REDS_BASE,
    UHSR,
    BaseDataset,
    BaseDatasetConfig,
    RealData,
    RealDataConfig,
    REDS_BASEConfig,
    SZData,
    SZDataConfig,
    UHSRConfig,
    build_dataset_cfg,
    build_dataset_name,
)
from .media import iter_gray_frames, read_gray_image, write_gray_image
from .noise import SensorNoise
from .packing import frame_nbytes, pack_frames, unpack_frames
from .pcie import count_pcie_frames, read_pcie, write_pcie
from .simulate import iter_spikes, simulate_image, simulate_spikes
from .stream import SpikeStream
from .uhsr import UhsrRecording, read_uhsr, write_uhsr
from .video import visual_vidar_dat

__all__ = [
    "DATASETS",
    "REDS_BASE",
    "UHSR",
    "Augmentor",
    "BaseDataset",
    "BaseDatasetConfig",
    "BlurConfig",
    "BlurWindow",
    "REDS_BASEConfig",
    "RealData",
    "RealDataConfig",
    "SZData",
    "SZDataConfig",
    "SensorNoise",
    "SpikeStream",
    "UHSRConfig",
    "UhsrRecording",
    "augment",
    "build_dataset_cfg",
    "build_dataset_name",
    "count_pcie_frames",
    "frame_nbytes",
    "iter_blur_windows",
    "iter_gray_frames",
    "iter_spikes",
    "load_vidar_dat",
    "merge_vidar_dat",
    "pack_frames",
    "read_gray_image",
    "read_pcie",
    "read_uhsr",
    "save_vidar_dat",
    "simulate_dataset",
    "simulate_image",
    "simulate_spikes",
    "unpack_frames",
    "visual_vidar_dat",
    "write_gray_image",
    "write_pcie",
    "write_uhsr",
]
