"""What pipelines of one model and of several have in common."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sj_datasets.spike_camera import (
    BaseDataset,
    BaseDatasetConfig,
    build_dataset_cfg,
    build_dataset_name,
)

from .._numbers import check_positive
from ..brightness import finish_image, stretch
from ..config import BaseModelConfig
from ..cost import ModelCost, measure_cost
from ..images import save_image
from ..loader import TRAIN_MODE, build_dataloader
from ..metrics import needs_truth
from ..models import BaseModel
from ..registry import build_model_cfg, default_config
from ..streams import Spikes
from .config import PipelineConfig
from .run_folder import new_run_folder
from .scores import Scores, as_text, available_metrics
from .sources import as_batch, as_truth, read_recording, read_truth

__all__ = ["BasePipeline"]

SPLIT = "test"
_TRUTH = "sharp_img"


class BasePipeline:
    """Models in evaluation mode, a dataset and the folder of a run.

    The folder is made last, so a pipeline that cannot be built leaves nothing behind.

    Args:
        cfg: settings of the run.
        model_cfgs: names or configs of models.
        dataset_cfg: name or config of a dataset; its files are looked for when they are needed.

    Raises:
        ValueError: an unknown name, or settings that do not fit.
        FileNotFoundError: weights are missing.
        FileExistsError: a run of this name exists.

    Attributes:
        models: the models by the names their images have.
        folder: what the run writes.
    """

    def __init__(
        self,
        cfg: PipelineConfig,
        model_cfgs: Sequence[str | BaseModelConfig],
        dataset_cfg: str | BaseDatasetConfig,
    ) -> None:
        if not model_cfgs:
            raise ValueError("a pipeline needs at least one model")
        for name in cfg.metric_names:
            needs_truth(name)  # knows the name
        self.cfg = cfg
        self._dataset = _build_dataset(dataset_cfg)
        self.models: dict[str, BaseModel] = {}
        for model_cfg in model_cfgs:
            model = _build_model(model_cfg, cfg.version)
            self.models[_new_label(model.cfg.model_name, self.models)] = model
        kind = "train" if cfg._mode == TRAIN_MODE else "detect"
        self.folder = new_run_folder(cfg.save_folder, cfg.exp_name, kind)
        self.folder.write_config("pipeline", [cfg])
        self.folder.write_config("model", [model.cfg for model in self.models.values()])
        self.folder.write_config("dataset", [self._dataset.cfg])

    @property
    def dataset(self) -> BaseDataset:
        """The dataset, its test split listed on first use."""
        if not self._dataset.split:
            self._dataset.build_source(SPLIT)
        return self._dataset

    @cached_property
    def metric_names(self) -> list[str]:
        """Metrics of the config that can be computed here."""
        return available_metrics(self.cfg.metric_names)

    def save_imgs_from_dataset(self) -> Path:
        """Save the images of all samples, without measuring; returns their folder."""
        dataset = self.dataset
        for idx in range(len(dataset)):
            self._infer_sample(idx, save_img=True, save_metric=False)
        return self.folder.path.joinpath(*self._sample_parts(0)[:-1])

    def _infer_sample(self, idx: int, *, save_img: bool, save_metric: bool) -> dict[str, Tensor]:
        dataset = self.dataset
        sample = dataset[idx]
        spike = as_batch(sample["spike"], self._length(), self._device())
        truth = as_truth(sample["gt_img"], spike) if dataset.cfg.with_img else None
        parts = self._sample_parts(idx % len(dataset))
        return self._infer(
            spike, sample["rate"], truth, parts, save_img=save_img, save_metric=save_metric
        )

    def _infer_file(
        self,
        file_path: str | os.PathLike[str],
        height: int,
        width: int,
        rate: float,
        img_path: str | os.PathLike[str] | None,
        remove_head: bool,
    ) -> dict[str, Tensor]:
        stream = read_recording(file_path, height, width, remove_head)
        image = None if img_path is None else read_truth(img_path)
        return self._infer_spikes(stream, rate, image, "infer_from_file", Path(file_path).name)

    def _infer_spikes(
        self,
        stream: Spikes,
        rate: float,
        image: Tensor | NDArray[np.generic] | None,
        *parts: str,
    ) -> dict[str, Tensor]:
        check_positive(rate=rate)
        spike = as_batch(stream, self._length(), self._device())
        truth = None if image is None else as_truth(image, spike)
        cfg = self.cfg
        return self._infer(
            spike, rate, truth, parts, save_img=cfg.save_img, save_metric=cfg.save_metric
        )

    def _infer(
        self,
        spike: Tensor,
        rate: float,
        truth: Tensor | None,
        parts: Sequence[str],
        *,
        save_img: bool,
        save_metric: bool,
    ) -> dict[str, Tensor]:
        """Run all models, measure and save; returns their outputs as they are."""
        if truth is not None and self.cfg.img_norm:
            truth = stretch(truth)
        outputs, finished = {}, {}
        for label, model in self.models.items():
            with torch.no_grad():
                outputs[label] = model.spk2img(spike)
            free = self.cfg.img_norm or model.free_brightness
            finished[label] = finish_image(outputs[label], rate, free_brightness=free)
        if save_metric:
            self._measure(finished, truth, parts)
        if save_img:
            if truth is not None:
                finished[_TRUTH] = truth
            self._save(finished, parts)
        return outputs

    def _measure(
        self, images: dict[str, Tensor], truth: Tensor | None, parts: Sequence[str]
    ) -> None:
        rows = []
        for label, image in images.items():
            scores = Scores(self.metric_names, zoo_compat=self.cfg.zoo_compat)
            scores.add(image, truth)
            values = scores.mean()
            if values:
                rows.append({"model": label, **values})
                self.folder.log(f"{'/'.join(parts)}: {label} {as_text(values)}")
        if rows:
            self.folder.subfolder(*parts)
            self.folder.write_table("/".join((*parts, "metrics")), rows)

    def _save(self, images: dict[str, Tensor], parts: Sequence[str]) -> None:
        folder = self.folder.subfolder(*parts)
        for name, batch in images.items():
            for i, image in enumerate(batch):
                suffix = f"_{i:02d}" if len(batch) > 1 else ""
                save_image(folder / f"{name}{suffix}.png", image, zoo_compat=self.cfg.zoo_compat)

    def _cal_metrics(self) -> dict[str, dict[str, float]]:
        """Mean metrics over the test split by model; also written to a table."""
        with_img = self.dataset.cfg.with_img
        names = [name for name in self.metric_names if with_img or not needs_truth(name)]
        if not names:
            raise ValueError(
                f"none of the metrics {self.cfg.metric_names} can be computed: the dataset "
                f"{'has' if with_img else 'has no'} true images; choose others in metric_names"
            )
        scores = {label: Scores(names, zoo_compat=self.cfg.zoo_compat) for label in self.models}
        for batch in build_dataloader(self.dataset, self.cfg):
            for label, model in self.models.items():
                on_device = model.feed_to_device(batch)
                with torch.no_grad():
                    outputs = model.get_outputs_dict(on_device)
                recon, truth = model.get_paired_imgs(on_device, outputs)
                free = self.cfg.img_norm or model.free_brightness
                recon = finish_image(recon, 1.0, free_brightness=free)
                truth = stretch(truth) if self.cfg.img_norm else truth.clamp(0, 1)
                scores[label].add(recon, truth if with_img else None)
        means = {label: score.mean() for label, score in scores.items()}
        rows: list[dict[str, Any]] = []
        for label, score in scores.items():
            rows += [{"model": label, "sample": i, **row} for i, row in enumerate(score.rows)]
            rows.append({"model": label, "sample": "mean", **means[label]})
            self.folder.log(f"{self._dataset.cfg.dataset_name}: {label} {as_text(means[label])}")
        self.folder.write_table("metrics", rows)
        return means

    def _cal_params(
        self, shape: tuple[int, int, int, int], calls: int, max_seconds: float
    ) -> dict[str, dict[str, float]]:
        """Costs by model; also written to a table."""
        costs: dict[str, ModelCost] = {
            label: measure_cost(model, shape, calls=calls, max_seconds=max_seconds)
            for label, model in self.models.items()
        }
        table = {label: cost._asdict() for label, cost in costs.items()}
        for label, values in table.items():
            self.folder.log(f"{'x'.join(map(str, shape))}: {label} {as_text(values)}")
        self.folder.write_table("params", [{"model": k, **v} for k, v in table.items()])
        return table

    def _sample_parts(self, idx: int) -> tuple[str, ...]:
        name = f"{_file_name(self._dataset.cfg.dataset_name)}_dataset"
        return "infer_from_dataset", name, self._dataset.split, f"{idx:06d}"

    def _length(self) -> int:
        return max(model.input_length() for model in self.models.values())

    def _device(self) -> torch.device:
        return next(iter(self.models.values())).device


def _build_dataset(cfg: str | BaseDatasetConfig) -> BaseDataset:
    return build_dataset_name(cfg) if isinstance(cfg, str) else build_dataset_cfg(cfg)


def _build_model(cfg: str | BaseModelConfig, version: str) -> BaseModel:
    model = build_model_cfg(default_config(cfg) if isinstance(cfg, str) else cfg)
    return model.build_network("eval", version)


def _new_label(name: str, taken: dict[str, Any]) -> str:
    """Name of a model's images: a file name that is not taken."""
    name = _file_name(name)
    label, n = name, 2
    while label in taken or label == _TRUTH:
        label, n = f"{name}_{n}", n + 1
    return label


def _file_name(name: str) -> str:
    return re.sub(r"[^\w+-]", "_", name)
