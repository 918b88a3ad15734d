from . import download, formats, representations, slicing, spike_camera, transforms
from .asl_dvs import ASLDVS
from .bullying10k import Bullying10kClassification
from .cifar10_dvs import CIFAR10DVS, CIFAR10DVSTEBNSplit
from .collate import pad_sequence_collate, padded_sequence_mask
from .config import Conversion, FolderOptions, NeuromorphicDatasetConfig
from .dvs128_gesture import DVS128Gesture
from .dvs_lip import DVSLip
from .errors import ChecksumError, DownloadError, FormatError, ManualDownloadError
from .es_imagenet import ESImageNet
from .events import EVENT_DTYPE, Events
from .fake import SyntheticDataWarning, prepare, synthetic_events
from .folder import NeuromorphicDatasetFolder
from .formats.aedat3 import load_aedat_v3
from .formats.atis import load_ATIS_bin
from .formats.table import detect_format, read_events, write_events
from .frame_files import (
    create_same_directory_structure,
    integrate_events_file_to_frames_file_by_fixed_duration,
    integrate_events_file_to_frames_file_by_fixed_frames_number,
    load_npz_frames,
    np_savez,
)
from .frames import (
    cal_fixed_frames_number_segment_index,
    integrate_events_by_fixed_duration,
    integrate_events_by_fixed_frames_number,
    integrate_events_segment_to_frame,
    integrate_spikes_by_fixed_duration,
    integrate_spikes_by_fixed_frames_number,
)
from .hardvs import HARDVS
from .n_caltech101 import NCaltech101
from .n_mnist import NMNIST
from .nav_gesture import NAVGestureSit, NAVGestureWalk
from .ordering import in_time_order
from .play import play_frame, save_as_pic, save_frames
from .registry import DATASETS, dataset_class
from .representations import to_time_surface, to_voxel_grid
from .sequential import SequentialView
from .shd import SpikingHeidelbergDigits, SpikingSpeechCommands
from .slicing import ToFrame
from .speechcommands import SpeechCommands
from .spike_camera import (
    SpikeStream,
    load_vidar_dat,
    merge_vidar_dat,
    save_vidar_dat,
    simulate_image,
    simulate_spikes,
    visual_vidar_dat,
)
from .split import Subset, create_sub_dataset, split_to_train_test_set
from .static import CIFAR10, MNIST, FashionMNIST
from .transforms import RandomTemporalDelete, random_temporal_delete
from .windows import integrate_events_by_windows, slice_by_count, slice_by_time

__version__: str

__all__ = [
    "ASLDVS",
    "CIFAR10",
    "CIFAR10DVS",
    "DATASETS",
    "EVENT_DTYPE",
    "HARDVS",
    "MNIST",
    "NMNIST",
    "Bullying10kClassification",
    "CIFAR10DVSTEBNSplit",
    "ChecksumError",
    "Conversion",
    "DVS128Gesture",
    "DVSLip",
    "DownloadError",
    "ESImageNet",
    "Events",
    "FashionMNIST",
    "FolderOptions",
    "FormatError",
    "ManualDownloadError",
    "NAVGestureSit",
    "NAVGestureWalk",
    "NCaltech101",
    "NeuromorphicDatasetConfig",
    "NeuromorphicDatasetFolder",
    "RandomTemporalDelete",
    "SequentialView",
    "SpeechCommands",
    "SpikeStream",
    "SpikingHeidelbergDigits",
    "SpikingSpeechCommands",
    "Subset",
    "SyntheticDataWarning",
    "ToFrame",
    "cal_fixed_frames_number_segment_index",
    "create_same_directory_structure",
    "create_sub_dataset",
    "dataset_class",
    "detect_format",
    "download",
    "formats",
    "in_time_order",
    "integrate_events_by_fixed_duration",
    "integrate_events_by_fixed_frames_number",
    "integrate_events_by_windows",
    "integrate_events_file_to_frames_file_by_fixed_duration",
    "integrate_events_file_to_frames_file_by_fixed_frames_number",
    "integrate_events_segment_to_frame",
    "integrate_spikes_by_fixed_duration",
    "integrate_spikes_by_fixed_frames_number",
    "load_ATIS_bin",
    "load_aedat_v3",
    "load_npz_frames",
    "load_vidar_dat",
    "merge_vidar_dat",
    "np_savez",
    "pad_sequence_collate",
    "padded_sequence_mask",
    "play_frame",
    "prepare",
    "random_temporal_delete",
    "read_events",
    "representations",
    "save_as_pic",
    "save_frames",
    "save_vidar_dat",
    "simulate_image",
    "simulate_spikes",
    "slice_by_count",
    "slice_by_time",
    "slicing",
    "spike_camera",
    "split_to_train_test_set",
    "synthetic_events",
    "to_time_surface",
    "to_voxel_grid",
    "transforms",
    "visual_vidar_dat",
    "write_events",
]
