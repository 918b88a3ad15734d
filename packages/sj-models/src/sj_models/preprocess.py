"""Preprocessors: from pixels as they are stored to inputs as the network wants them.

    x' = (x - mean) / std       per channel, on the scale of the pixels (0 to 255 for uint8)

They act on batches (see `samples`) with inputs `[N, C, H, W]` or `[T, N, C, H, W]`, and move them
to their own device. Mean and std are buffers outside of `state_dict`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .batch_augments import BatchAugment, RandomBatchAugment
from .registry import MODELS
from .samples import Batch, as_batch

__all__ = ["ClsDataPreprocessor", "SelfSupDataPreprocessor", "TwoNormDataPreprocessor"]


class _Preprocessor(nn.Module):
    """Normalisation, channel order and padding of one view."""

    mean: Tensor | None
    std: Tensor | None
    _device: Tensor

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        pad_size_divisor: int = 1,
        pad_value: float = 0,
        to_rgb: bool = False,
    ) -> None:
        super().__init__()
        if pad_size_divisor < 1:
            raise ValueError(f"pad_size_divisor must be at least 1, got {pad_size_divisor}")
        self.pad_size_divisor, self.pad_value, self.to_rgb = pad_size_divisor, pad_value, to_rgb
        self._register_norm("mean", "std", mean, std)
        self.register_buffer("_device", torch.empty(0), persistent=False)

    def _register_norm(
        self, mean_name: str, std_name: str, mean: Sequence[float] | None, std: Any
    ) -> None:
        if (mean is None) != (std is None):
            raise ValueError(f"{mean_name} and {std_name} come together, or not at all")
        for name, values in ((mean_name, mean), (std_name, std)):
            if values is None:
                self.register_buffer(name, None, persistent=False)
                continue
            numbers = [float(value) for value in values]
            if not numbers:
                raise ValueError(f"{name} must be a list with one number per channel, got {values}")
            if name == std_name and min(numbers) <= 0:
                raise ValueError(f"{name} must be positive, got {values}")
            self.register_buffer(name, torch.tensor(numbers).view(-1, 1, 1), persistent=False)

    def _view(self, x: Tensor, mean: Tensor | None, std: Tensor | None) -> Tensor:
        if x.dim() < 3:
            return x.to(self._device.device)  # features, not pixels
        x = x.to(self._device.device)
        x = x if x.is_floating_point() else x.float()
        if self.to_rgb:
            if x.shape[-3] != 3:
                raise ValueError(f"to_rgb needs 3 channels, got inputs {tuple(x.shape)}")
            x = x.flip(-3)
        if mean is not None and std is not None:
            if x.shape[-3] != len(mean) and len(mean) != 1:
                raise ValueError(
                    f"mean has {len(mean)} channels, the inputs {tuple(x.shape)} have {x.shape[-3]}"
                )
            x = (x - mean) / std
        bottom, right = (-size % self.pad_size_divisor for size in x.shape[-2:])
        if bottom or right:
            x = functional.pad(x, (0, right, 0, bottom), value=self.pad_value)
        return x

    def _moved(self, data: Any) -> Batch:
        batch = as_batch(data)
        for key in ("label", "score", "mask"):
            if isinstance(batch.get(key), Tensor):
                batch[key] = batch[key].to(self._device.device)
        return batch

    def extra_repr(self) -> str:
        return f"pad_size_divisor={self.pad_size_divisor}, to_rgb={self.to_rgb}"


class ClsDataPreprocessor(_Preprocessor):
    """For classification and retrieval.

    Args:
        mean: per channel, on the scale of the pixels; no normalisation if `None`.
        std: per channel, positive.
        pad_size_divisor: height and width are padded to a multiple of it, right and at the bottom.
        pad_value: what the padding holds.
        to_rgb: reverses the order of three channels.
        to_onehot: makes scores `[N, num_classes]` from labels.
        num_classes: K of the scores.
        batch_augments: a `RandomBatchAugment`, its config, or any function
            `(inputs, score) -> (inputs, score)`; used in training. Labels become scores then.

    Raises:
        ValueError: arguments that contradict each other; on a call: channels that do not fit, a
            label outside of `num_classes`, labels to be mixed without `num_classes`.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        pad_size_divisor: int = 1,
        pad_value: float = 0,
        to_rgb: bool = False,
        to_onehot: bool = False,
        num_classes: int | None = None,
        batch_augments: BatchAugment | dict[str, Any] | None = None,
    ) -> None:
        super().__init__(mean, std, pad_size_divisor, pad_value, to_rgb)
        if to_onehot and num_classes is None:
            raise ValueError("to_onehot needs num_classes")
        self.to_onehot, self.num_classes = to_onehot, num_classes
        made: Any = batch_augments
        if isinstance(batch_augments, dict):
            made = MODELS.build({"type": RandomBatchAugment, **batch_augments})
        self.batch_augments: BatchAugment | None = made

    def forward(self, data: Any, training: bool = False) -> Batch:
        """A batch with inputs ready for the network."""
        batch = self._moved(data)
        batch["inputs"] = self._each(batch["inputs"])
        mixes = training and self.batch_augments is not None
        if (self.to_onehot or mixes) and "label" in batch and "score" not in batch:
            batch["score"] = self._one_hot(batch["label"])
        if mixes and self.batch_augments is not None:
            if "score" not in batch:
                raise ValueError("batch augmentation needs a label or a score in the batch")
            batch["inputs"], batch["score"] = self.batch_augments(batch["inputs"], batch["score"])
            batch.pop("label", None)  # it no longer says what the image shows
        return batch

    def _each(self, inputs: Any) -> Tensor:
        if not isinstance(inputs, Tensor):
            raise TypeError(
                "ClsDataPreprocessor takes one view; SelfSupDataPreprocessor takes several"
            )
        return self._view(inputs, self.mean, self.std)

    def _one_hot(self, label: Tensor) -> Tensor:
        if self.num_classes is None:
            raise ValueError("batch augmentation mixes labels: give num_classes, or scores")
        if label.numel() and not 0 <= int(label.min()) <= int(label.max()) < self.num_classes:
            raise ValueError(
                f"labels must be in [0, {self.num_classes}), got {int(label.min())} to "
                f"{int(label.max())}"
            )
        return functional.one_hot(label, self.num_classes).float()


class SelfSupDataPreprocessor(_Preprocessor):
    """For self-supervised methods: one view, or a list of views that are treated alike.

    Args:
        mean: per channel, on the scale of the pixels; no normalisation if `None`.
        std: per channel, positive.
        pad_size_divisor: height and width are padded to a multiple of it, right and at the bottom.
        pad_value: what the padding holds.
        to_rgb: reverses the order of three channels.
    """

    def forward(self, data: Any, training: bool = False) -> Batch:
        """A batch with one view, or with a list of as many views as came."""
        batch = self._moved(data)
        inputs = batch["inputs"]
        if isinstance(inputs, list):
            batch["inputs"] = [self._view(view, self.mean, self.std) for view in inputs]
        else:
            batch["inputs"] = self._view(inputs, self.mean, self.std)
        return batch


class TwoNormDataPreprocessor(_Preprocessor):
    """For two views with a normalisation each: what the network sees, and what makes its target.

    Args:
        mean: of the first view, per channel.
        std: of the first view, positive.
        second_mean: of the second view.
        second_std: of the second view, positive.
        pad_size_divisor: height and width are padded to a multiple of it, right and at the bottom.
        pad_value: what the padding holds.
        to_rgb: reverses the order of three channels.

    Raises:
        ValueError: no second mean; on a call: not exactly two views.
    """

    second_mean: Tensor | None
    second_std: Tensor | None

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        second_mean: Sequence[float] | None = None,
        second_std: Sequence[float] | None = None,
        pad_size_divisor: int = 1,
        pad_value: float = 0,
        to_rgb: bool = False,
    ) -> None:
        super().__init__(mean, std, pad_size_divisor, pad_value, to_rgb)
        if second_mean is None:
            raise ValueError("TwoNormDataPreprocessor needs second_mean and second_std")
        self._register_norm("second_mean", "second_std", second_mean, second_std)

    def forward(self, data: Any, training: bool = False) -> Batch:
        """A batch with two views."""
        batch = self._moved(data)
        views = batch["inputs"]
        if not isinstance(views, list) or len(views) != 2:
            got = f"{len(views)} views" if isinstance(views, list) else "one"
            raise ValueError(f"TwoNormDataPreprocessor needs two views, got {got}")
        batch["inputs"] = [
            self._view(views[0], self.mean, self.std),
            self._view(views[1], self.second_mean, self.second_std),
        ]
        return batch
