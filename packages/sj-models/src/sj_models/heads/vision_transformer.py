"""The classifier of a vision transformer: one linear layer, or two with an activation between.

scores = W2 act(W1 x + b1) + b2
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ..layers_from_config import build_activation
from .classification import ClsHead
from .linear import check_classes, check_features

__all__ = ["VisionTransformerClsHead"]

_TANH: Mapping[str, Any] = {"type": "Tanh"}
_ZERO: Mapping[str, Any] = {"type": "Constant", "layer": "Linear", "val": 0}


class VisionTransformerClsHead(ClsHead):
    """Linear layers `layers.head`, and `layers.pre_logits` before it with a hidden width.

    Takes the last feature, `[N, C]` or `[T, N, C]`; of a list the last item, the class token.

    Args:
        num_classes: K, 1 or more.
        in_channels: C.
        hidden_dim: width of the hidden layer; `None` is none.
        act_cfg: activation after the hidden layer, Tanh by default.
        loss, topk, cal_acc, init_cfg, decode, readout: see :class:`ClsHead`; the weights of
            `layers.head` start at 0.

    Raises:
        ValueError: `num_classes` below 1, or features that do not fit.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        hidden_dim: int | None = None,
        act_cfg: Mapping[str, Any] = _TANH,
        loss: nn.Module | Mapping[str, Any] | None = None,
        topk: int | Sequence[int] = (1,),
        cal_acc: bool = False,
        init_cfg: Any = _ZERO,
        decode: str | None = None,
        readout: nn.Module | Mapping[str, Any] | str | None = None,
    ) -> None:
        super().__init__(loss, topk, cal_acc, init_cfg, decode, readout)
        check_classes(type(self).__name__, num_classes)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.hidden_dim = hidden_dim
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if hidden_dim is not None:
            layers["pre_logits"] = nn.Linear(in_channels, hidden_dim)
            layers["act"] = build_activation(act_cfg)
        layers["head"] = nn.Linear(hidden_dim or in_channels, num_classes)
        self.layers = nn.Sequential(layers)

    def init_own(self) -> None:
        """Give the hidden layer a start that keeps variances."""
        if self.hidden_dim is not None:
            hidden: Any = self.layers.get_submodule("pre_logits")
            nn.init.trunc_normal_(hidden.weight, std=self.in_channels**-0.5)
            nn.init.zeros_(hidden.bias)

    def pre_logits(self, feats: Any) -> Tensor:
        """The class token after the hidden layer, `[N, D]` or `[T, N, D]`."""
        x = super().pre_logits(feats)
        if isinstance(x, list | tuple):
            x = x[-1]
        check_features(type(self).__name__, x, self.in_channels)
        return x if self.hidden_dim is None else self.layers[:-1](x)

    def forward(self, feats: Any) -> Tensor:
        return self.layers[-1](self.pre_logits(feats))
