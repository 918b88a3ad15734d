"""Base of self-supervised methods."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from ..build import build_part
from .base import TaskModel, require_spiking

__all__ = ["BaseSelfSupervisor"]


class BaseSelfSupervisor(TaskModel):
    """Backbone, neck, head and target generator; subclasses define `loss(inputs, batch)`.

    Pass the parts on by keyword: `super().__init__(backbone=backbone, neck=neck, ...)`.

    Args:
        backbone: what is pre-trained.
        neck: such as a decoder, thrown away after training.
        head: computes the loss.
        target_generator: inputs to targets, without gradient, such as `HOGGenerator`.
        pretrained: path of a checkpoint for the whole model.
        data_preprocessor: module or config; `SelfSupDataPreprocessor` if it has no type.
        init_cfg: how :meth:`init_weights` fills the parameters.
        encoder: makes `[T, N, C, H, W]` of images for a spiking backbone.

    Raises:
        TypeError: no backbone.
        ValueError: an encoder before a backbone without neurons.
    """

    modes: ClassVar[tuple[str, ...]] = ("tensor", "loss")
    default_preprocessor: ClassVar[str] = "SelfSupDataPreprocessor"

    def __init__(
        self,
        backbone: nn.Module | dict[str, Any],
        neck: nn.Module | dict[str, Any] | None = None,
        head: nn.Module | dict[str, Any] | None = None,
        target_generator: nn.Module | dict[str, Any] | None = None,
        pretrained: str | None = None,
        data_preprocessor: nn.Module | dict[str, Any] | None = None,
        init_cfg: Any = None,
        *,
        encoder: nn.Module | dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            data_preprocessor=data_preprocessor,
            encoder=encoder,
            pretrained=pretrained,
            init_cfg=init_cfg,
        )
        if backbone is None:
            raise TypeError(f"{type(self).__name__} needs a backbone")
        self.backbone = build_part(backbone, path="backbone")
        self.neck = build_part(neck, path="neck")
        self.head = build_part(head, path="head")
        self.target_generator = build_part(target_generator, path="target_generator")
        self.train(self.training)
        require_spiking(type(self).__name__, self.encoder, self.spiking)

    @property
    def spiking(self) -> bool | None:
        return getattr(self.backbone, "spiking", None)

    def train(self, mode: bool = True) -> Self:
        """As `torch.nn.Module.train`; the target generator stays as it is, in evaluation mode."""
        super().train(mode)
        if isinstance(self.target_generator, nn.Module):
            self.target_generator.eval()
        return self

    def extract_feat(self, inputs: Tensor) -> Any:
        """The output of the backbone."""
        return self.backbone(self.as_sequence(inputs))

    def with_class_token(self, tokens: Tensor) -> Tensor:
        """Tokens as decoders and heads expect them, `[..., 1 + L, D]`.

        Where the backbone has no class token, as spiking ones do, the mean of its tokens is one.
        """
        if getattr(self.backbone, "with_cls_token", True):
            return tokens
        return torch.cat((tokens.mean(-2, keepdim=True), tokens), -2)
