"""From a model and a dataset to images, metrics and costs, with a folder for every run."""

from .config import EnsemblePipelineConfig, PipelineConfig
from .ensemble import EnsemblePipeline
from .run_folder import RunFolder, new_run_folder
from .single import Pipeline

__all__ = [
    "EnsemblePipeline",
    "EnsemblePipelineConfig",
    "Pipeline",
    "PipelineConfig",
    "RunFolder",
    "new_run_folder",
]
