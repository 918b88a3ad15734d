"""Spike-camera streams to images: classical methods, networks, metrics, command line."""

from . import archs, classical, metrics, models
from .classical import gtfp, isi, tfi, tfp
from .config import BaseModelConfig
from .images import save_image, to_uint8
from .metrics import METRICS, compute_metric, mse, psnr, ssim
from .models import (
    BaseModel,
    GTFPConfig,
    GTFPModel,
    TFIConfig,
    TFIModel,
    TFPConfig,
    TFPModel,
)
from .reconstruct import reconstruct
from .reconstruct_video import reconstruct_video
from .registry import METHOD, METHODS, build_model_cfg, build_model_name, register
from .streams import load_vidar_dat

__version__ = "0.1.0"

TFP, TFI, GTFP = TFPModel, TFIModel, GTFPModel

__all__ = [
    "GTFP",
    "METHOD",
    "METHODS",
    "METRICS",
    "TFI",
    "TFP",
    "BaseModel",
    "BaseModelConfig",
    "GTFPConfig",
    "GTFPModel",
    "TFIConfig",
    "TFIModel",
    "TFPConfig",
    "TFPModel",
    "archs",
    "build_model_cfg",
    "build_model_name",
    "classical",
    "compute_metric",
    "gtfp",
    "isi",
    "load_vidar_dat",
    "metrics",
    "models",
    "mse",
    "psnr",
    "reconstruct",
    "reconstruct_video",
    "register",
    "save_image",
    "ssim",
    "tfi",
    "tfp",
    "to_uint8",
]
