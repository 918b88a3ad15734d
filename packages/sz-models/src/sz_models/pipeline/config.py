"""Settings of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

__all__ = ["EnsemblePipelineConfig", "PipelineConfig"]


@dataclass
class PipelineConfig:
    """How a pipeline loads, measures and saves.

    Args:
        version: weights of the model: ``local`` (``ckpt_path`` of its config) or a release.
        save_folder: folder of all runs, ``results`` if empty.
        exp_name: name of this run, which must be new; a time stamp if empty.
        save_metric: measure the images that are made.
        metric_names: what to measure, names in ``METRICS``; those whose library is missing are
            told in one line and left out.
        save_img: save the images that are made.
        img_norm: stretch every image, the true one too, to [0, 1] instead of dividing by the rate.
        zoo_compat: Spike-Zoo's conventions: its ranges in metrics, 8-bit values truncated.
        bs_test: samples in a batch of ``cal_metrics``.
        nw_test: processes that load them, 0 for none.
        pin_memory: load to page-locked memory, where there is a GPU.
    """

    version: str = "local"
    save_folder: str | os.PathLike[str] = ""
    exp_name: str = ""
    save_metric: bool = True
    metric_names: list[str] = field(default_factory=lambda: ["psnr", "ssim", "niqe", "brisque"])
    save_img: bool = True
    img_norm: bool = False
    zoo_compat: bool = False
    bs_test: int = 1
    nw_test: int = 0
    pin_memory: bool = False
    _mode: str = "single_mode"


@dataclass
class EnsemblePipelineConfig(PipelineConfig):
    """Settings of a run with several models."""

    _mode: str = "multi_mode"
