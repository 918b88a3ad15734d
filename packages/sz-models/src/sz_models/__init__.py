"""Spike-camera streams to images: classical methods, networks, metrics, command line."""

from . import archs, classical, metrics, models
from .classical import gtfp, isi, tfi, tfp
from .config import BaseModelConfig
from .cost import measure_cost
from .datasets import DATASET, DATASETS, build_dataloader, build_dataset_cfg, build_dataset_name
from .dsft import dsft
from .images import save_image, to_uint8
from .metrics import METRICS, compute_metric, mse, psnr, register_metric, ssim
from .models import (
    BSF,
    SSIR,
    SSML,
    STIR,
    WGSE,
    BaseModel,
    BSFConfig,
    GTFPConfig,
    GTFPModel,
    ISIConfig,
    ISIModel,
    SpikeCLIP,
    SpikeCLIPConfig,
    Spk2ImgNet,
    Spk2ImgNetConfig,
    SSIRConfig,
    SSMLConfig,
    STIRConfig,
    TFIConfig,
    TFIModel,
    TFPConfig,
    TFPModel,
    WGSEConfig,
)
from .pipeline import EnsemblePipeline, EnsemblePipelineConfig, Pipeline, PipelineConfig
from .reconstruct import reconstruct
from .reconstruct_video import reconstruct_video
from .registry import METHOD, METHODS, build_model_cfg, build_model_name, register
from .streams import load_vidar_dat

__version__ = "0.1.0"

TFP, TFI, GTFP, ISI = TFPModel, TFIModel, GTFPModel, ISIModel

__all__ = [
    "BSF",
    "DATASET",
    "DATASETS",
    "GTFP",
    "ISI",
    "METHOD",
    "METHODS",
    "METRICS",
    "SSIR",
    "SSML",
    "STIR",
    "TFI",
    "TFP",
    "WGSE",
    "BSFConfig",
    "BaseModel",
    "BaseModelConfig",
    "EnsemblePipeline",
    "EnsemblePipelineConfig",
    "GTFPConfig",
    "GTFPModel",
    "ISIConfig",
    "ISIModel",
    "Pipeline",
    "PipelineConfig",
    "SSIRConfig",
    "SSMLConfig",
    "STIRConfig",
    "SpikeCLIP",
    "SpikeCLIPConfig",
    "Spk2ImgNet",
    "Spk2ImgNetConfig",
    "TFIConfig",
    "TFIModel",
    "TFPConfig",
    "TFPModel",
    "WGSEConfig",
    "archs",
    "build_dataloader",
    "build_dataset_cfg",
    "build_dataset_name",
    "build_model_cfg",
    "build_model_name",
    "classical",
    "compute_metric",
    "dsft",
    "gtfp",
    "isi",
    "load_vidar_dat",
    "measure_cost",
    "metrics",
    "models",
    "mse",
    "psnr",
    "reconstruct",
    "reconstruct_video",
    "register",
    "register_metric",
    "save_image",
    "ssim",
    "tfi",
    "tfp",
    "to_uint8",
]
