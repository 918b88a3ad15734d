"""SSML behind the model interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..config import BaseModelConfig
from .base import BaseModel, Batch

__all__ = ["SSML", "SSMLConfig"]

_MUTUAL_WEIGHT = 0.01


@dataclass
class SSMLConfig(BaseModelConfig):
    """Configuration of :class:`SSML`.

    Args:
        tfp_label_length: frames whose mean the blind network is trained on; the published training
            took 7.
    """

    model_name: str = "ssml"
    model_file_name: str = "model"
    model_cls_name: str = "DoubleNet"
    tfp_label_length: int = 11


class SSML(BaseModel):
    """Self-supervised mutual learning: trained without true images, from 41 frames of any size.

    A blind-spot network learns from the mean of the central frames, a student from it; the student
    makes the images.

    Chen et al., "Self-supervised mutual learning for dynamic scene reconstruction of spiking
    camera", IJCAI 2022.
    """

    def spk2img(self, spike: Tensor) -> Tensor:
        image = self._run_net(self.preprocess_spike(spike))
        return self.postprocess_img(image[1] if isinstance(image, tuple) else image)

    def get_outputs_dict(self, batch: Batch) -> dict[str, Tensor]:
        """``recon_img``; in training mode also ``bsn_pred`` and ``tfp_label``, for the losses.

        All ``[B, 1, H, W]``, brightness divided by ``batch["rate"]``.
        """
        if not self.network().training:
            return super().get_outputs_dict(batch)
        rate = batch["rate"].view(-1, 1, 1, 1).float()
        spike = self._as_input(self.preprocess_spike(batch["spike"]))
        blind, student = self.net(spike)
        return {
            "recon_img": self.postprocess_img(student) / rate,
            "bsn_pred": self.postprocess_img(blind) / rate,
            "tfp_label": self._label(spike) / rate,
        }

    def get_visual_dict(self, batch: Batch, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        extra = {name: outputs[name] for name in ("bsn_pred", "tfp_label") if name in outputs}
        return {**super().get_visual_dict(batch, outputs), **extra}

    def get_loss_dict(
        self, outputs: Mapping[str, Tensor], batch: Batch, loss_weight_dict: Mapping[str, float]
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """``bsn_loss_<name>``: blind image and label; ``mutual_loss_<name>``: both images, x 0.01.

        Needs no true image.

        Raises:
            ValueError: outputs of a network in evaluation mode.
        """
        if "bsn_pred" not in outputs:
            raise ValueError("the losses of ssml need a network in training mode: net.train()")
        losses = {}
        for name, weight in loss_weight_dict.items():
            loss = self.get_loss_func(name)
            losses[f"bsn_loss_{name}"] = weight * loss(outputs["bsn_pred"], outputs["tfp_label"])
            mutual = loss(outputs["recon_img"], outputs["bsn_pred"])
            losses[f"mutual_loss_{name}"] = _MUTUAL_WEIGHT * weight * mutual
        return losses, {name: loss.item() for name, loss in losses.items()}

    def _label(self, spike: Tensor) -> Tensor:
        """Mean of the central frames ``[B, 1, H, W]``."""
        length = getattr(self.cfg, "tfp_label_length", SSMLConfig.tfp_label_length)
        if not 1 <= length <= spike.shape[1]:
            raise ValueError(f"tfp_label_length must be 1 to {spike.shape[1]} frames, got {length}")
        half, centre = length // 2, spike.shape[1] // 2
        return spike[:, centre - half : centre + half + 1].mean(dim=1, keepdim=True)
