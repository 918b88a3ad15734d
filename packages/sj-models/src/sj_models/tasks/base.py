"""What task models share: modes of `forward`, steps of a training loop, time, and the objective.

    total = sum over entries called `loss`, `loss_*` or `*_loss`; everything else is a metric

The entries are what `loss` returns: a tensor counts with its mean, a list with the sum of means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sj_neurons import functional

from ..base_module import BaseModule
from ..build import build_part
from ..samples import Batch, as_batch

__all__ = ["TaskModel", "parse_losses"]


def is_loss(name: str) -> bool:
    """Whether an entry of this name belongs to the objective."""
    return name == "loss" or name.startswith("loss_") or name.endswith("_loss")


def parse_losses(losses: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """The objective, and all entries with the total as `loss`, cut from the graph, for the log.

    Args:
        losses: tensors, numbers or lists of tensors, by name.

    Raises:
        TypeError: an entry of another type.
        ValueError: no entry is a loss.

    Example:
        >>> import torch
        >>> total, log = parse_losses({"loss": torch.tensor([1.0, 3.0]), "glossy": 9.0})
        >>> float(total), sorted(log)
        (2.0, ['glossy', 'loss'])
    """
    means = {name: _mean(name, value) for name, value in losses.items()}
    parts = [mean for name, mean in means.items() if is_loss(name)]
    if not parts:
        raise ValueError(
            "no entry is a loss: name it 'loss', 'loss_*' or '*_loss'; there are "
            f"{', '.join(losses) or 'none'}"
        )
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    log = {name: mean.detach() for name, mean in means.items()}
    return total, {**log, "loss": total.detach()}


def _mean(name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value.mean() if value.is_floating_point() else value.float().mean()
    if isinstance(value, int | float):
        return torch.tensor(float(value))
    if isinstance(value, list | tuple) and value and all(isinstance(v, Tensor) for v in value):
        return torch.stack([v.mean() for v in value]).sum()
    raise TypeError(f"{name} must be a tensor or a list of tensors, got {type(value).__name__}")


class TaskModel(BaseModule):
    """Base of task models: subclasses define `extract_feat`, `loss` and, if they can, `predict`.

    States are reset at the start of every call, in training and evaluation.

    Args:
        data_preprocessor: what :meth:`train_step` and its like run first: a module or a config.
        encoder: makes a sequence `[T, N, *]` of static inputs for a spiking network.
        pretrained: path of a checkpoint, short for `init_cfg={"type": "Pretrained", ...}`.
        init_cfg: how :meth:`init_weights` fills the parameters.

    Raises:
        ValueError: `pretrained` and `init_cfg` are given both.
    """

    modes: ClassVar[tuple[str, ...]] = ("tensor", "loss", "predict")
    default_preprocessor: ClassVar[str] = "ClsDataPreprocessor"

    def __init__(
        self,
        *,
        data_preprocessor: nn.Module | dict[str, Any] | None = None,
        encoder: nn.Module | dict[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        if pretrained is not None:
            if init_cfg is not None:
                raise ValueError("give pretrained or init_cfg, not both")
            init_cfg = {"type": "Pretrained", "checkpoint": pretrained}
        super().__init__(init_cfg)
        if data_preprocessor is None or isinstance(data_preprocessor, dict):
            data_preprocessor = {"type": self.default_preprocessor, **(data_preprocessor or {})}
        self.data_preprocessor = build_part(data_preprocessor, path="data_preprocessor")
        self.encoder = build_part(encoder, path="encoder")

    @property
    def spiking(self) -> bool | None:
        """Whether activations have the axis T; None if the parts do not say."""
        return None

    # modes

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        """Run the model in one of its modes.

        Args:
            inputs: `[N, C, H, W]`, `[T, N, C, H, W]`, views, or a whole batch; see `samples`.
            data_samples: labels that come separately, in any form that `as_batch` takes.
            mode: `'tensor'` for the output of the network, `'loss'` for a dictionary of losses and
                metrics, `'predict'` for a dictionary of predictions.

        Raises:
            RuntimeError: the model has no such mode.
        """
        if mode not in self.modes:
            raise RuntimeError(
                f"{type(self).__name__} has no mode {mode!r}; it has {', '.join(self.modes)}"
            )
        batch = as_batch(inputs, data_samples)
        if mode == "tensor":
            return self.tensor(batch["inputs"])
        return getattr(self, mode)(batch["inputs"], batch)

    def extract_feat(self, inputs: Any) -> Any:
        """Features of the inputs."""
        raise NotImplementedError(f"{type(self).__name__} does not define extract_feat")

    def tensor(self, inputs: Any) -> Any:
        """The output of the network; features unless a subclass knows better."""
        return self.extract_feat(inputs)

    def loss(self, inputs: Any, batch: Any) -> dict[str, Any]:
        """Losses and metrics by name."""
        raise NotImplementedError(f"{type(self).__name__} does not define loss")

    # steps

    def train_step(self, data: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Preprocess and compute the objective: `(total, log)`; call `total.backward()` next."""
        batch = self.preprocess(data, training=True)
        return parse_losses(self(batch, mode="loss"))

    @torch.no_grad()
    def val_step(self, data: Any) -> Any:
        """Preprocess and predict, without gradients."""
        return self(self.preprocess(data), mode="predict")

    def test_step(self, data: Any) -> Any:
        """The same as :meth:`val_step`."""
        return self.val_step(data)

    def preprocess(self, data: Any, training: bool = False) -> Batch:
        """A batch on the device of the model, as the network wants it."""
        if self.data_preprocessor is None:
            return as_batch(data)
        return as_batch(self.data_preprocessor(data, training))

    # time

    def as_sequence(self, x: Tensor, reset: bool = True) -> Tensor:
        """What the first part gets: `x`, encoded over time if the model is spiking.

        Args:
            x: `[N, C, H, W]`, or `[T, N, C, H, W]` for spiking models only.
            reset: whether the states are reset first.

        Raises:
            ValueError: a time axis too many, or none where one is needed.
        """
        if reset and self.spiking is not False:
            functional.reset_net(self)
        owner, shape = type(self).__name__, tuple(x.shape)
        if self.spiking is False:
            if x.dim() == 5:
                raise ValueError(
                    f"{owner}: the network has no neurons and takes [N, C, H, W], got {shape}; "
                    "give the backbone a neuron, or average over time first"
                )
            return x
        if self.encoder is not None:
            if x.dim() == 5:
                raise ValueError(
                    f"{owner}: inputs {shape} have a time axis already; build the model with "
                    "encoder=None"
                )
            return self.encoder(x)
        if self.spiking and x.dim() == 4:
            raise ValueError(
                f"{owner}: a spiking network takes [T, N, C, H, W], got {shape}; give the model "
                "an encoder such as {'type': 'Repeat', 'T': 4}"
            )
        return x

    def required(self, part: str, what: str) -> Any:
        """The part of this name.

        Raises:
            RuntimeError: the model was built without it.
        """
        found = getattr(self, part)
        if found is None:
            raise RuntimeError(f"{type(self).__name__}: {what} needs a {part}; build it with one")
        return found


def require_spiking(owner: str, encoder: nn.Module | None, spiking: bool | None) -> None:
    """Refuse an encoder before a network that has no axis for its steps."""
    if encoder is not None and spiking is False:
        raise ValueError(
            f"{owner}: an encoder makes sequences, but the network has no neurons; give its "
            "backbone a neuron, or leave the encoder out"
        )
