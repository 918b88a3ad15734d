"""Base of classification heads: decoding over time, loss, prediction and accuracy.

    feats -> pre_logits -> scores [N, K] or [T, N, K] -> readout -> decode -> [N, K]

A membrane readout is a neuron without threshold that integrates the scores over time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sj_neurons.neuron import NonSpikingBaseNode, NonSpikingLIFNode

from ..base_module import BaseModule
from ..build import build_part
from ..losses.cross_entropy import CrossEntropyLoss
from ..metrics import accuracy
from ..time_axis import last_feature
from .decoding import DECODERS, check_decode

__all__ = ["ClsHead"]


class ClsHead(BaseModule):
    """Takes the last feature as scores; subclasses define `pre_logits` and `forward`.

    A loss module that says `per_step = True` (such as `TETLoss`) gets the scores of all steps
    `[T, N, K]`, any other loss the decoded ones. With `decode='cummean'` the latter is the mean of
    the losses of all prefixes. It is called as `loss(score, target, avg_factor=N)`.

    Args:
        loss: module or config; `None` is :class:`CrossEntropyLoss`.
        topk: the accuracies of `cal_acc`, in best classes.
        cal_acc: whether :meth:`loss` also returns `accuracy_top-k`, in percent.
        init_cfg: see :class:`BaseModule`.
        decode: how scores `[T, N, K]` are read: `'mean'`, `'sum'`, `'last'`, `'max'` or
            `'cummean'` (`[T, N, K]`: a prediction at any time). `None` is `'last'` with a
            readout, else `'mean'`. Scores `[N, K]` stay as they are.
        readout: `None`, `'membrane'` (a leaky integrator, tau = 2 steps), or a neuron that never
            fires, as a module or config, such as `{"type": "NonSpikingLIFNode", "tau": 4.0}`.

    Raises:
        ValueError: an unknown `decode`, a `topk` that is no integer from 1 on, a readout that
            decodes itself, or a batch without target.
        TypeError: another readout.
    """

    def __init__(
        self,
        loss: nn.Module | Mapping[str, Any] | None = None,
        topk: int | Sequence[int] = (1,),
        cal_acc: bool = False,
        init_cfg: Any = None,
        decode: str | None = None,
        readout: nn.Module | Mapping[str, Any] | str | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.loss_module = CrossEntropyLoss() if loss is None else build_part(loss, path="loss")
        self.topk = (topk,) if isinstance(topk, int) else tuple(topk)
        if (cal_acc and not self.topk) or not all(type(k) is int and k > 0 for k in self.topk):
            raise ValueError(f"{type(self).__name__}: topk must be 1 or more, got {topk!r}")
        self.cal_acc = cal_acc
        self.readout = self._built_readout(readout)
        default = "mean" if self.readout is None else "last"
        self.decode = check_decode(type(self).__name__, default if decode is None else decode)

    def _built_readout(self, readout: Any) -> NonSpikingBaseNode | None:
        owner = type(self).__name__
        if isinstance(readout, str) and readout != "membrane":
            raise ValueError(f"{owner}: readout must be None, 'membrane' or a neuron: {readout!r}")
        if isinstance(readout, str):
            return NonSpikingLIFNode()
        built = build_part(readout, path="readout")
        if built is None:
            return None
        if not isinstance(built, NonSpikingBaseNode):
            raise TypeError(
                f"{owner}: the readout must be a neuron that never fires, such as "
                f"NonSpikingLIFNode, got {type(built).__name__}"
            )
        if built.decode is not None:
            raise ValueError(f"{owner}: leave decode to the head; the readout's must be None")
        return built

    def pre_logits(self, feats: Any) -> Tensor:
        """What the classifier gets: the last feature, `[N, C]` or `[T, N, C]`."""
        return last_feature(type(self).__name__, feats)

    def forward(self, feats: Any) -> Tensor:
        """Scores `[N, K]`, or `[T, N, K]` before readout and decoding."""
        return self.pre_logits(feats)

    def step_scores(self, feats: Any) -> Tensor:
        """Scores `[N, K]` or `[T, N, K]` after the readout, before decoding.

        Raises:
            ValueError: scores of another rank.
        """
        scores = self(feats)
        if scores.dim() not in (2, 3) or (scores.dim() == 3 and len(scores) == 0):
            raise ValueError(
                f"{type(self).__name__}: expected scores [N, K] or [T, N, K] with T > 0, got "
                f"shape {tuple(scores.shape)}; pool positions before the head"
            )
        if self.readout is None:
            return scores
        if scores.dim() == 2:
            raise ValueError(
                f"{type(self).__name__}: a readout integrates over time, but the scores "
                f"{tuple(scores.shape)} have no time axis"
            )
        return torch.stack(self.readout(scores))

    def decoded(self, scores: Tensor) -> Tensor:
        """Scores read over time: `[N, K]`, or `[T, N, K]` with `decode='cummean'`."""
        return DECODERS[self.decode](scores) if scores.dim() == 3 else scores

    def loss(self, feats: Any, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """`loss`, and the accuracies asked for.

        Args:
            feats: a tuple of features; the last counts.
            batch: with `score` `[N, K]` (preferred) or `label` `[N]`.
        """
        scores = self.step_scores(feats)
        target = self._target(batch, scores.shape[-2])
        losses = {"loss": self._loss_of(scores, target)}
        if self.cal_acc:
            if target.dim() != 1:
                raise ValueError(
                    f"{type(self).__name__}: accuracy needs class indices; set cal_acc=False "
                    "with soft labels"
                )
            final = self.decoded(scores.detach())
            final = final[-1] if final.dim() == 3 else final
            found = accuracy(final, target, topk=self.topk)
            losses |= {f"accuracy_top-{k}": value for k, value in found.items()}
        return losses

    def predict(self, feats: Any, batch: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """`pred_score` `[N, K]`, the softmax of the decoded scores, and `pred_label` `[N]`.

        With `decode='cummean'` both have the time axis in front. Of equal scores the first wins.
        """
        scores = self.decoded(self.step_scores(feats))
        return {"pred_score": scores.softmax(-1), "pred_label": scores.argmax(-1)}

    def _loss_of(self, scores: Tensor, target: Tensor) -> Tensor:
        samples = scores.shape[-2]
        if getattr(self.loss_module, "per_step", False):
            return self.loss_module(scores, target, avg_factor=samples)
        scores = self.decoded(scores)
        if scores.dim() == 2:
            return self.loss_module(scores, target, avg_factor=samples)
        return torch.stack([self.loss_module(o, target, avg_factor=samples) for o in scores]).mean(
            0
        )

    def _target(self, batch: Mapping[str, Any], samples: int) -> Tensor:
        for name in ("score", "label"):
            target = batch.get(name)
            if target is not None:
                break
        else:
            raise ValueError(
                f"{type(self).__name__}: the batch has neither 'score' [N, K] nor 'label' [N], "
                f"but {', '.join(batch) or 'nothing'}"
            )
        if target.shape[:1] != (samples,):
            raise ValueError(
                f"{type(self).__name__}: {samples} samples, but '{name}' has shape "
                f"{tuple(target.shape)}"
            )
        return target
