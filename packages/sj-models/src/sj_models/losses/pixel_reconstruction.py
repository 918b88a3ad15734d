"""Differences of predicted and true pixels or patches.

l = |pred - target| ('L1') or (pred - target)^2 ('L2'); of patches [N, L, D] the mean over D
no mask   mean(l)
mask m    sum(l m) / sum(m) / channel
"""

from __future__ import annotations

from torch import Tensor, nn

from .masked_mean import masked_mean

__all__ = ["PixelReconstructionLoss"]


class PixelReconstructionLoss(nn.Module):
    """Reconstruction loss of images `[N, C, H, W]` or patches `[N, L, D]`.

    Args:
        criterion: `'L1'` or `'L2'`.
        channel: divisor of a masked loss: the number of image channels when the mask
            `[N, 1, H, W]` has one value for all of them. `None` is 1.

    Raises:
        ValueError: an unknown criterion, a channel below 1, or shapes that do not fit.
    """

    def __init__(self, criterion: str, channel: int | None = None) -> None:
        super().__init__()
        if criterion not in ("L1", "L2"):
            raise ValueError(
                f"PixelReconstructionLoss: criterion must be 'L1' or 'L2', got {criterion!r}"
            )
        if channel is not None and channel < 1:
            raise ValueError(f"PixelReconstructionLoss: channel must be 1 or more, got {channel}")
        self.criterion = criterion
        self.channel = channel

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Loss of a prediction, a number.

        `mask` `[N, C, H, W]`, `[N, 1, H, W]` or `[N, L]` is 1 where the loss counts; a mask that
        is 0 everywhere gives 0.
        """
        if pred.shape != target.shape:
            raise ValueError(
                "PixelReconstructionLoss: prediction and target have different shapes "
                f"{tuple(pred.shape)} and {tuple(target.shape)}"
            )
        loss = (pred - target).abs() if self.criterion == "L1" else (pred - target).square()
        if pred.dim() == 3:
            loss = loss.mean(-1)
        mean = masked_mean("PixelReconstructionLoss", loss, mask)
        return mean if mask is None else mean / (self.channel or 1)

    def extra_repr(self) -> str:
        return f"criterion={self.criterion!r}, channel={self.channel}"
