"""A classifier that counts the spikes of a population per class.

    s[t] = neuron(W x[t] + b)                    K G neurons
    scores[t, k] = mean of the G neurons of class k

`decode='mean'` then is the firing rate of each class, `'sum'` the number of spikes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from sj_neurons import functional

from ..neurons import NeuronFactory, NeuronSpec
from .classification import ClsHead
from .linear import NORMAL_LINEAR, check_classes, check_features

__all__ = ["SpikeCountHead"]


class SpikeCountHead(ClsHead):
    """A linear layer `fc` and a layer of neurons `sn`; features `[T, N, C]`.

    Args:
        num_classes: K, 1 or more.
        in_channels: C.
        neuron: class, name or config of the neurons.
        groups: G, neurons per class, side by side.
        loss, topk, cal_acc, init_cfg, decode: see :class:`ClsHead`.

    Raises:
        ValueError: `num_classes` or `groups` below 1, or features without time axis.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        neuron: NeuronSpec = "LIF",
        groups: int = 1,
        loss: nn.Module | Mapping[str, Any] | None = None,
        topk: int | Sequence[int] = (1,),
        cal_acc: bool = False,
        init_cfg: Any = NORMAL_LINEAR,
        decode: str | None = None,
    ) -> None:
        super().__init__(loss, topk, cal_acc, init_cfg, decode)
        check_classes(type(self).__name__, num_classes)
        if groups < 1:
            raise ValueError(f"SpikeCountHead: groups must be 1 or more, got {groups}")
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.groups = groups
        self.fc = nn.Linear(in_channels, num_classes * groups)
        self.sn = NeuronFactory("SpikeCountHead", neuron)()
        functional.set_step_mode(self.sn, "m")

    def forward(self, feats: Any) -> Tensor:
        x = self.pre_logits(feats)
        check_features(type(self).__name__, x, self.in_channels)
        if x.dim() != 3:
            raise ValueError(
                f"SpikeCountHead: neurons need features [T, N, C], got shape {tuple(x.shape)}"
            )
        return self.sn(self.fc(x)).unflatten(-1, (self.num_classes, self.groups)).mean(-1)
