"""A linear layer between backbone and head.

y = act(norm(W pool(x) + b))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from sj_neurons.base import StepModule

from ..base_module import BaseModule
from ..layers_from_config import build_activation, build_norm_layer
from ..time_axis import at_every_step, last_feature
from .global_average_pooling import GlobalAveragePooling

__all__ = ["BN1D", "LinearNeck"]

BN1D: Mapping[str, Any] = {"type": "BN1d"}


class LinearNeck(BaseModule, StepModule):
    """Pool, linear layer, norm and activation of the last feature; the result is a 1-tuple.

    With a time axis the norm sees T N samples. Both step modes are the same: the rank says whether
    there is time.

    Args:
        in_channels: channels of the feature.
        out_channels: channels of the result.
        gap_dim: axes of positions to average before, 1 to 3, or 0 for features `[N, C]`.
        norm_cfg: norm after the linear layer; `None` is none, the default `{"type": "BN1d"}`.
        act_cfg: activation after the norm; `None` is none.
        init_cfg: see :class:`BaseModule`.

    Raises:
        ValueError: another `gap_dim`, or features of another rank.
        TypeError: features that are neither a tensor nor a tuple.
    """

    # the norm gets time folded into the batch, whatever the mode of the net
    owns_children_step_mode: ClassVar[bool] = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        gap_dim: int = 0,
        norm_cfg: Mapping[str, Any] | None = BN1D,
        act_cfg: Mapping[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if gap_dim not in (0, 1, 2, 3):
            raise ValueError(f"LinearNeck: gap_dim must be 0 to 3, got {gap_dim!r}")
        self.gap = GlobalAveragePooling(gap_dim) if gap_dim else nn.Identity()
        self.fc = nn.Linear(in_channels, out_channels)
        self.norm: nn.Module = nn.Identity()
        if norm_cfg is not None:
            _, self.norm = build_norm_layer(norm_cfg, out_channels)
        self.act = build_activation(act_cfg)

    def forward(self, inputs: Any) -> tuple[Tensor]:
        """A 1-tuple with `[N, out_channels]` or `[T, N, out_channels]`."""
        x = self.gap(last_feature("LinearNeck", inputs))
        return (at_every_step("LinearNeck", self._project, x, "N, C"),)

    def _project(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.fc(x)))
