"""STIR behind the model interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from ..config import BaseModelConfig
from .base import Batch
from .padded import PaddedModel, repeat_last

__all__ = ["STIR", "STIRConfig"]

_MULTISCALE = "multiscale"
# Of the images at H/2, H/4, H/8, H/16.
_WEIGHTS = (0.5, 0.25, 0.25, 0.25)


@dataclass
class STIRConfig(BaseModelConfig):
    """Configuration of :class:`STIR`; version v010 takes 61 frames, v023 takes 41."""

    model_name: str = "stir"
    model_file_name: str = "models.networks_STIR"
    model_cls_name: str = "STIR"
    model_length: int = 61
    model_length_dict: dict[str, int] = field(default_factory=lambda: {"v010": 61, "v023": 41})
    model_params: dict[str, Any] = field(default_factory=lambda: {"spike_dim": 61})
    model_params_dict: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"v010": {"spike_dim": 61}, "v023": {"spike_dim": 41}}
    )


class STIR(PaddedModel):
    """Image and motion estimated together, coarse to fine; sizes padded to multiples of 16.

    Fan et al., "Spatio-Temporal Interactive Learning for Efficient Image Reconstruction of
    Spiking Cameras", NeurIPS 2024.
    """

    size_multiple: ClassVar[int] = 16

    def spk2img(self, spike: Tensor) -> Tensor:
        return self._images(spike)[0]

    def get_outputs_dict(self, batch: Batch) -> dict[str, Tensor]:
        """The image; in training mode also ``coarse_img_1`` .. ``coarse_img_4`` at H / 2^l."""
        image, *coarse = self._images(batch["spike"])
        rate = batch["rate"].view(-1, 1, 1, 1).float()
        outputs = {"recon_img": image / rate}
        return outputs | {
            f"coarse_img_{level}": c / rate for level, c in enumerate(coarse, start=1)
        }

    def get_loss_dict(
        self, outputs: Mapping[str, Tensor], batch: Batch, loss_weight_dict: Mapping[str, float]
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Weighted losses of the image, and ``multiscale``: l1 of the coarse images.

            sum_l w_l / 4 * l1(coarse_img_l, truth averaged over 2^l x 2^l pixels)

        w = 1/2, 1/4, 1/4, 1/4 as in the paper.

        Raises:
            ValueError: ``multiscale`` without outputs of training mode.
        """
        weights = dict(loss_weight_dict)
        multiscale = weights.pop(_MULTISCALE, None)
        losses, values = super().get_loss_dict(outputs, batch, weights)
        if multiscale is not None:
            loss = multiscale * self._multiscale_loss(outputs, batch["gt_img"])
            losses[_MULTISCALE], values[_MULTISCALE] = loss, loss.item()
        return losses, values

    def _images(self, spike: Tensor) -> list[Tensor]:
        """The image, in training mode followed by the padded ones at H/2 .. H/16."""
        out = self._run_net(self.preprocess_spike(spike))
        if isinstance(out, Tensor):
            return [self.postprocess_img(out)]
        return [self.postprocess_img(out[0]), *(scale[0] for scale in out[2:6])]

    def _multiscale_loss(self, outputs: Mapping[str, Tensor], truth: Tensor) -> Tensor:
        if "coarse_img_1" not in outputs:
            raise ValueError(
                "the loss 'multiscale' needs the coarse images of training mode: call "
                "build_network('train') or net.train()"
            )
        for dim in (-2, -1):
            truth = repeat_last(truth, -truth.shape[dim] % self.size_multiple, dim)
        l1 = self.get_loss_func("l1")
        terms = [
            weight / 4 * l1(outputs[f"coarse_img_{level}"], F.avg_pool2d(truth, 2**level))
            for level, weight in enumerate(_WEIGHTS, start=1)
        ]
        return sum(terms[1:], start=terms[0])
