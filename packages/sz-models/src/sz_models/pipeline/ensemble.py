"""The same inference and measurement with several models."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sj_datasets.spike_camera import BaseDatasetConfig

from ..config import BaseModelConfig
from ..streams import Spikes
from .base import BasePipeline
from .config import EnsemblePipelineConfig

__all__ = ["EnsemblePipeline"]


class EnsemblePipeline(BasePipeline):
    """Several models on the same input; all images of a sample lie side by side in one folder.

    Calls and files are those of :class:`Pipeline`; every result is a dict by model.  A second
    model of one name is called ``<name>_2``.

    Args:
        cfg: settings of the run.
        model_cfg_list: names or configs, mixed as you like.
        dataset_cfg: name in ``DATASETS`` or config of the dataset.

    Raises:
        ValueError: no model, an unknown name, or settings that do not fit.
        FileNotFoundError: weights are missing.
        FileExistsError: a run of this name exists.
    """

    def __init__(
        self,
        cfg: EnsemblePipelineConfig,
        model_cfg_list: Sequence[str | BaseModelConfig],
        dataset_cfg: str | BaseDatasetConfig,
    ) -> None:
        if isinstance(model_cfg_list, str):
            raise TypeError(f"model_cfg_list must be a list, got {model_cfg_list!r}; use Pipeline")
        super().__init__(cfg, model_cfg_list, dataset_cfg)

    def infer_from_dataset(self, idx: int = 0) -> dict[str, Tensor]:
        """Images of sample ``idx`` of the test split by model; see :class:`Pipeline`."""
        save_img, save_metric = self.cfg.save_img, self.cfg.save_metric
        return self._infer_sample(idx, save_img=save_img, save_metric=save_metric)

    def infer_from_file(
        self,
        file_path: str | os.PathLike[str],
        height: int = -1,
        width: int = -1,
        rate: float = 1,
        img_path: str | os.PathLike[str] | None = None,
        remove_head: bool = False,
    ) -> dict[str, Tensor]:
        """Images of the middle of a recording by model; see :class:`Pipeline`."""
        return self._infer_file(file_path, height, width, rate, img_path, remove_head)

    def infer_from_spk(
        self,
        spike: Spikes,
        rate: float = 1,
        img: Tensor | NDArray[np.generic] | None = None,
    ) -> dict[str, Tensor]:
        """Images of the middle of a stream by model; see :class:`Pipeline`."""
        return self._infer_spikes(spike, rate, img, "infer_from_spk")

    def cal_metrics(self) -> dict[str, dict[str, float]]:
        """Mean metrics over the test split by model; see :class:`Pipeline`."""
        return self._cal_metrics()

    def cal_params(
        self,
        shape: tuple[int, int, int, int] = (1, 200, 250, 400),
        *,
        calls: int = 100,
        max_seconds: float = 20.0,
    ) -> dict[str, dict[str, float]]:
        """Costs by model; see :class:`Pipeline`."""
        return self._cal_params(shape, calls, max_seconds)
