"""Batch normalisation of frozen features, before a linear classifier that probes them.

Source: He et al., "Masked autoencoders are scalable vision learners", CVPR 2022, appendix A.1,
arXiv:2111.06377.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..base_module import BaseModule
from ..time_axis import at_every_step, map_features

__all__ = ["ClsBatchNormNeck"]


class ClsBatchNormNeck(BaseModule):
    """Normalises each feature `[N, C]`, or `[T, N, C]` over all T N samples.

    Args:
        input_features: C.
        affine: whether the norm has parameters.
        eps: added to the variance.
        init_cfg: see :class:`BaseModule`.

    Raises:
        ValueError: features of another rank.
    """

    def __init__(
        self, input_features: int, affine: bool = False, eps: float = 1e-6, init_cfg: Any = None
    ) -> None:
        super().__init__(init_cfg)
        self.bn = nn.BatchNorm1d(input_features, eps=eps, affine=affine)

    def forward(self, inputs: Any) -> Any:
        """Normalised features: a tensor of a tensor, a tuple of a tuple."""
        return map_features("ClsBatchNormNeck", self._normalise, inputs)

    def _normalise(self, x: Tensor) -> Tensor:
        return at_every_step("ClsBatchNormNeck", self.bn, x, "N, C")
