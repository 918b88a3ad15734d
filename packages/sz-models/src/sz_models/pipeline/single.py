"""Inference and measurement with one model."""

from __future__ import annotations

import os
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sj_datasets.spike_camera import BaseDatasetConfig

from ..config import BaseModelConfig
from ..models import BaseModel
from ..streams import Spikes
from .base import BasePipeline
from .config import PipelineConfig

__all__ = ["Pipeline"]

T = TypeVar("T")


class Pipeline(BasePipeline):
    """One model on a dataset, on files or on arrays.

    Everything is written below ``folder.path``, ``<save_folder>/detect/<exp_name>``: settings
    ``cfg_*.log``, ``result.log``, tables ``*.csv`` and images.  The ``infer_*`` calls return the
    model's output ``[B, 1, H, W]`` as it is.  For metrics and files it is divided by the rate (or
    stretched to [0, 1], with ``img_norm`` and for models whose brightness has no scale) and clipped
    to [0, 1].  A run never deletes another one.

    Args:
        cfg: settings of the run.
        model_cfg: name in ``METHODS`` or config of the model.
        dataset_cfg: name in ``DATASETS`` or config of the dataset.

    Raises:
        ValueError: an unknown name, or settings that do not fit.
        FileNotFoundError: the weights are missing.
        FileExistsError: a run of this name exists.

    Example:
        >>> cfg = PipelineConfig(save_folder="results", metric_names=["psnr", "ssim"])
        >>> Pipeline(cfg, "tfp", "base").infer_from_file(
        ...     "data.dat", 250, 400, rate=0.6, img_path="data.png"
        ... ).shape  # doctest: +SKIP
        torch.Size([1, 1, 250, 400])
    """

    def __init__(
        self,
        cfg: PipelineConfig,
        model_cfg: str | BaseModelConfig,
        dataset_cfg: str | BaseDatasetConfig,
    ) -> None:
        super().__init__(cfg, [model_cfg], dataset_cfg)

    @property
    def model(self) -> BaseModel:
        """The model, in evaluation mode."""
        return next(iter(self.models.values()))

    def infer_from_dataset(self, idx: int = 0) -> Tensor:
        """Image of sample ``idx`` of the test split; the rate is the dataset's.

        Raises:
            IndexError: no such sample.
            FileNotFoundError: the dataset is not there.
        """
        save_img, save_metric = self.cfg.save_img, self.cfg.save_metric
        return _only(self._infer_sample(idx, save_img=save_img, save_metric=save_metric))

    def infer_from_file(
        self,
        file_path: str | os.PathLike[str],
        height: int = -1,
        width: int = -1,
        rate: float = 1,
        img_path: str | os.PathLike[str] | None = None,
        remove_head: bool = False,
    ) -> Tensor:
        """Image of the middle of a recording.

        Args:
            file_path: a ``.dat`` file, or a UHSR ``.npz``.
            height: rows of a ``.dat`` file.
            width: columns of it, with ``remove_head`` the padded ones.
            rate: spikes per frame at full brightness.
            img_path: the true image.
            remove_head: cut the last 16 columns off.

        Raises:
            FileNotFoundError: no such file.
            ValueError: another kind of file, or sizes that do not fit.
        """
        return _only(self._infer_file(file_path, height, width, rate, img_path, remove_head))

    def infer_from_spk(
        self,
        spike: Spikes,
        rate: float = 1,
        img: Tensor | NDArray[np.generic] | None = None,
    ) -> Tensor:
        """Image of the middle of a stream.

        Args:
            spike: ``[T, H, W]`` or ``[B, T, H, W]``, values 0 and 1.
            rate: spikes per frame at full brightness.
            img: the true image, integers 0..255 or real numbers in [0, 1].

        Raises:
            ValueError: other values, or sizes that do not fit.
        """
        return _only(self._infer_spikes(spike, rate, img, "infer_from_spk"))

    def cal_metrics(self) -> dict[str, float]:
        """Mean of each metric over the test split; each sample's go to ``metrics.csv``.

        Without true images only metrics that need none are computed.

        Raises:
            ValueError: no metric can be computed.
            FileNotFoundError: the dataset is not there.
        """
        return _only(self._cal_metrics())

    def cal_params(
        self,
        shape: tuple[int, int, int, int] = (1, 200, 250, 400),
        *,
        calls: int = 100,
        max_seconds: float = 20.0,
    ) -> dict[str, float]:
        """``params_m``, ``flops_g``, ``macs_g`` and ``latency_ms``; see ``measure_cost``.

        Args:
            shape: of the spikes ``[B, T, H, W]``.
            calls: timed calls, after three that are not.
            max_seconds: stop timing after this.
        """
        return _only(self._cal_params(shape, calls, max_seconds))


def _only(values: dict[str, T]) -> T:
    (value,) = values.values()
    return value
