"""Event-camera and spike-camera data: files, simulation, datasets. No torch needed.

Datasets, events and frames are here; `formats` reads and writes recordings, `transforms` augments,
`spike_camera` is about cameras whose pixels integrate light, `download` fetches published files.

Each name is imported from its module when it is first used, so that what one dataset needs never
stands in the way of another; `__init__.pyi` says the same to type checkers.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_EXPORTS: dict[str, tuple[str, ...]] = {
    "asl_dvs": ("ASLDVS",),
    "bullying10k": ("Bullying10kClassification",),
    "cifar10_dvs": (
        "CIFAR10DVS",
        "CIFAR10DVSTEBNSplit",
    ),
    "collate": (
        "pad_sequence_collate",
        "padded_sequence_mask",
    ),
    "config": (
        "Conversion",
        "FolderOptions",
        "NeuromorphicDatasetConfig",
    ),
    "dvs128_gesture": ("DVS128Gesture",),
    "dvs_lip": ("DVSLip",),
    "errors": (
        "ChecksumError",
        "DownloadError",
        "FormatError",
        "ManualDownloadError",
    ),
    "es_imagenet": ("ESImageNet",),
    "events": (
        "EVENT_DTYPE",
        "Events",
    ),
    "fake": (
        "SyntheticDataWarning",
        "prepare",
        "synthetic_events",
    ),
    "folder": ("NeuromorphicDatasetFolder",),
    "formats.aedat3": ("load_aedat_v3",),
    "formats.atis": ("load_ATIS_bin",),
    "formats.table": (
        "detect_format",
        "read_events",
        "write_events",
    ),
    "frame_files": (
        "create_same_directory_structure",
        "integrate_events_file_to_frames_file_by_fixed_duration",
        "integrate_events_file_to_frames_file_by_fixed_frames_number",
        "load_npz_frames",
        "np_savez",
    ),
    "frames": (
        "cal_fixed_frames_number_segment_index",
        "integrate_events_by_fixed_duration",
        "integrate_events_by_fixed_frames_number",
        "integrate_events_segment_to_frame",
        "integrate_spikes_by_fixed_duration",
        "integrate_spikes_by_fixed_frames_number",
    ),
    "hardvs": ("HARDVS",),
    "n_caltech101": ("NCaltech101",),
    "n_mnist": ("NMNIST",),
    "nav_gesture": (
        "NAVGestureSit",
        "NAVGestureWalk",
    ),
    "ordering": ("in_time_order",),
    "play": (
        "play_frame",
        "save_as_pic",
        "save_frames",
    ),
    "registry": (
        "DATASETS",
        "dataset_class",
    ),
    "representations": (
        "to_time_surface",
        "to_voxel_grid",
    ),
    "sequential": ("SequentialView",),
    "shd": (
        "SpikingHeidelbergDigits",
        "SpikingSpeechCommands",
    ),
    "slicing": ("ToFrame",),
    "speechcommands": ("SpeechCommands",),
    "spike_camera": (
        "SpikeStream",
        "load_vidar_dat",
        "merge_vidar_dat",
        "save_vidar_dat",
        "simulate_image",
        "simulate_spikes",
        "visual_vidar_dat",
    ),
    "split": (
        "Subset",
        "create_sub_dataset",
        "split_to_train_test_set",
    ),
    "static": (
        "CIFAR10",
        "FashionMNIST",
        "MNIST",
    ),
    "transforms": (
        "RandomTemporalDelete",
        "random_temporal_delete",
    ),
    "windows": (
        "integrate_events_by_windows",
        "slice_by_count",
        "slice_by_time",
    ),
}
_MODULES = ("download", "formats", "representations", "slicing", "spike_camera", "transforms")
_HOMES = {name: module for module, names in _EXPORTS.items() for name in names}

# without what needs torch: `from sj_datasets import *` works where there is none
__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]
    name for name in (*_HOMES, *_MODULES) if _HOMES.get(name) != "collate"
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
        globals()[name] = value
        return value
    if name in _MODULES or name in _EXPORTS:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
