"""Masked autoencoder: hide most patches, encode the rest, reconstruct the pixels of the others.

    latent, mask, restore = backbone(x)     mask [N, L], 1 where a patch is hidden
    pred = neck(latent, restore)            [N, L, p p C]
    loss = head.loss(pred, x, mask)

A spiking backbone hides the same patches at all steps, so that tokens stay aligned in time. The
decoder is an ordinary network that runs on each step; the loss takes the mean of its predictions
over time, or each of them. Sources: arXiv 2111.06377; spiking form arXiv 2401.02020.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .self_supervised import BaseSelfSupervisor

__all__ = ["MAE"]

TIMES = ("mean", "step")


class MAE(BaseSelfSupervisor):
    """Masked autoencoder of an ordinary or a spiking vision transformer.

    Args:
        backbone: such as `MAEViT`: `backbone(x)` returns (latent, mask, restore), and
            `backbone(x, mask=None)` features of the whole image.
        neck: the decoder, such as `MAEPretrainDecoder`: `neck(tokens, restore)`.
        head: such as `MAEPretrainHead`.
        target_generator: makes the target from the images; the images themselves by default.
        pretrained: path of a checkpoint for the whole model.
        data_preprocessor: module or config; `SelfSupDataPreprocessor` if it has no type.
        init_cfg: how :meth:`init_weights` fills the parameters.
        encoder: makes `[T, N, C, H, W]` of images for a spiking backbone.
        time: of spiking models: `'mean'` compares the prediction's mean over time with the image,
            or with the mean frame of events; `'step'` the prediction of each step with the image,
            or with its frame.

    Raises:
        ValueError: another `time`, and see :class:`BaseSelfSupervisor`.
    """

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
        time: str = "mean",
    ) -> None:
        super().__init__(
            backbone, neck, head, target_generator, pretrained, data_preprocessor, init_cfg,
            encoder=encoder,
        )  # fmt: skip
        if time not in TIMES:
            raise ValueError(f"time must be one of {', '.join(TIMES)}, got {time!r}")
        self.time = time

    def extract_feat(self, inputs: Tensor) -> Any:
        """Features of the whole image, nothing hidden."""
        return self.backbone(self.as_sequence(inputs), mask=None)

    def reconstruct(self, inputs: Tensor, **masking: Any) -> tuple[Tensor, Tensor]:
        """Predicted patches `[N, L, p p C]` or `[T, N, L, p p C]`, and the mask `[N, L]`.

        Args:
            inputs: `[N, C, H, W]` or `[T, N, C, H, W]`.
            **masking: passed on to the backbone, such as `generator` or `noise`.
        """
        neck = self.required("neck", "reconstruction")
        latent, mask, restore = self.backbone(self.as_sequence(inputs), **masking)
        return neck(self.with_class_token(latent), restore), mask

    def loss(self, inputs: Tensor, batch: Any = None) -> dict[str, Any]:
        """The reconstruction loss of the hidden patches."""
        head = self.required("head", "mode='loss'")
        pred, mask = self.reconstruct(inputs)
        target = inputs if self.target_generator is None else self.target_generator(inputs)
        if pred.dim() == 4 and self.time == "mean":
            pred = pred.mean(0)
            target = target.mean(0) if target.dim() == inputs.dim() == 5 else target
        elif pred.dim() == 4:
            steps = pred.shape[0]
            if inputs.dim() == 4:
                target = target.expand(steps, *target.shape)
            pred, target = pred.flatten(0, 1), target.flatten(0, 1)
            mask = mask.repeat(steps, 1)
        return {"loss": head.loss(pred, target, mask)}
