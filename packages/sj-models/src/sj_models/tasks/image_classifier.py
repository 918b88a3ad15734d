"""Image classification, with and without neurons.

    x [N, C, H, W] -> encoder -> backbone -> neck -> head.pre_logits -> scores

With an encoder, or with inputs `[T, N, C, H, W]`, all stages keep the axis T in front, and the head
decodes it: `decode='mean'` and others.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..build import build_part
from .base import TaskModel, require_spiking

__all__ = ["ImageClassifier"]

STAGES = ("backbone", "neck", "pre_logits")
TIMES = ("keep", "mean")


class ImageClassifier(TaskModel):
    """Backbone, neck and head; each part is a module or a config.

    Args:
        backbone: inputs to a tuple of feature maps.
        neck: tuple to tuple, such as `GlobalAveragePooling`.
        head: tuple to scores, loss and prediction, such as `LinearClsHead`.
        pretrained: path of a checkpoint for the whole model.
        train_cfg: batch augmentation, `{"augments": ..., "probs": ...}`; see `RandomBatchAugment`.
        data_preprocessor: module or config; `ClsDataPreprocessor` if it has no type.
        init_cfg: how :meth:`init_weights` fills the parameters.
        encoder: makes `[T, N, C, H, W]` of images for a spiking backbone; inputs with time first
            need none.
        rate_loss: adds `loss_rate` of the backbone's firing rates, such as `SpikeRateLoss`.

    Raises:
        TypeError: no backbone.
        ValueError: an encoder before a backbone without neurons; an unknown key in `train_cfg`.

    Example:
        >>> import torch
        >>> from sj_models.build import build
        >>> model = build({
        ...     "type": "ImageClassifier",
        ...     "encoder": {"type": "Repeat", "T": 2},
        ...     "backbone": {"type": "ResNet_CIFAR", "depth": 18, "stem_channels": 4,
        ...                  "base_channels": 4, "neuron": "LIF"},
        ...     "neck": {"type": "GlobalAveragePooling"},
        ...     "head": {"type": "LinearClsHead", "num_classes": 10, "in_channels": 32},
        ... })
        >>> model(torch.rand(3, 3, 32, 32)).shape
        torch.Size([2, 3, 10])
    """

    def __init__(
        self,
        backbone: nn.Module | dict[str, Any],
        neck: nn.Module | dict[str, Any] | None = None,
        head: nn.Module | dict[str, Any] | None = None,
        pretrained: str | None = None,
        train_cfg: dict[str, Any] | None = None,
        data_preprocessor: nn.Module | dict[str, Any] | None = None,
        init_cfg: Any = None,
        *,
        encoder: nn.Module | dict[str, Any] | None = None,
        rate_loss: nn.Module | dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            data_preprocessor=with_augments(data_preprocessor, train_cfg),
            encoder=encoder,
            pretrained=pretrained,
            init_cfg=init_cfg,
        )
        if backbone is None:
            raise TypeError("ImageClassifier needs a backbone")
        self.backbone = build_part(backbone, path="backbone")
        self.neck = build_part(neck, path="neck")
        self.head = build_part(head, path="head")
        self.rate_loss = build_part(rate_loss, path="rate_loss")
        require_spiking(type(self).__name__, self.encoder, self.spiking)

    @property
    def spiking(self) -> bool | None:
        return getattr(self.backbone, "spiking", None)

    def extract_feat(
        self, inputs: Tensor, stage: str = "neck", time: str = "keep", reset: bool = True
    ) -> Any:
        """Features after one of the stages.

        Args:
            inputs: `[N, C, H, W]` or `[T, N, C, H, W]`.
            stage: `'backbone'` or `'neck'` for a tuple, `'pre_logits'` for a tensor.
            time: `'keep'` the axis T, or its `'mean'`; without neurons there is none.
            reset: whether the states are reset first; see :meth:`predict`.

        Raises:
            ValueError: another stage or time.
            RuntimeError: `'pre_logits'` of a model without a head.
        """
        if stage not in STAGES:
            raise ValueError(f"stage must be one of {', '.join(STAGES)}, got {stage!r}")
        if time not in TIMES:
            raise ValueError(f"time must be one of {', '.join(TIMES)}, got {time!r}")
        feats = self.backbone(self.as_sequence(inputs, reset))
        if stage != "backbone" and self.neck is not None:
            feats = self.neck(feats)
        if stage == "pre_logits":
            head = self.required("head", "stage='pre_logits'")
            feats = head.pre_logits(feats)
        if time == "mean" and self.has_time:
            return mean_over_time(feats)
        return feats

    @property
    def has_time(self) -> bool:
        """Whether features have the axis T."""
        return bool(self.spiking) or self.encoder is not None

    def tensor(self, inputs: Tensor, time: str = "keep") -> Any:
        """Scores `[N, K]`, or `[T, N, K]` before they are decoded; features without a head.

        Args:
            inputs: `[N, C, H, W]` or `[T, N, C, H, W]`.
            time: `'keep'` the axis T, or its `'mean'`.
        """
        feats = self.extract_feat(inputs)
        out = feats if self.head is None else self.head(feats)
        return mean_over_time(out) if time == "mean" and self.has_time else out

    def loss(self, inputs: Tensor, batch: Any) -> dict[str, Any]:
        """Losses and metrics of the head, for a batch with `label` or `score`."""
        head = self.required("head", "mode='loss'")
        if self.rate_loss is None:
            return head.loss(self.extract_feat(inputs), batch)
        with self.rate_loss.watch(self.backbone) as rates:
            losses = head.loss(self.extract_feat(inputs), batch)
        return {**losses, "loss_rate": self.rate_loss(rates.of_layers())}

    def predict(self, inputs: Tensor, batch: Any = None, *, reset: bool = True) -> Any:
        """Predictions of the head.

        Args:
            inputs: `[N, C, H, W]` or `[T, N, C, H, W]`.
            batch: not needed; passed on to the head.
            reset: False goes on from the states of the last call: a stream in chunks.
        """
        head = self.required("head", "mode='predict'")
        return head.predict(self.extract_feat(inputs, reset=reset), batch)


def mean_over_time(feats: Any) -> Any:
    """The mean over the first axis, of a tensor or of each in a tuple."""
    if isinstance(feats, tuple | list):
        return tuple(mean_over_time(feat) for feat in feats)
    return feats.mean(0)


def with_augments(preprocessor: Any, train_cfg: dict[str, Any] | None) -> Any:
    """The preprocessor's config with the batch augmentation of `train_cfg`."""
    if not train_cfg:
        return preprocessor
    unknown = set(train_cfg) - {"augments", "probs"}
    if unknown:
        raise ValueError(f"train_cfg has augments and probs; unknown: {', '.join(sorted(unknown))}")
    if preprocessor is not None and not isinstance(preprocessor, dict):
        raise ValueError("train_cfg needs a config as data_preprocessor; augment in it instead")
    if "batch_augments" in (preprocessor or {}):
        raise ValueError("batch augmentation is given twice: train_cfg and batch_augments")
    return {**(preprocessor or {}), "batch_augments": dict(train_cfg)}
