"""One pass over the data: training or evaluation.

Tensors: ``x`` as the loader gives it (``[N, ...]``), ``target`` classes ``[N]`` or class
weights ``[N, K]``; ``preprocess`` may add the time axis (``[T, N, ...]``), ``process_output``
removes it again, so that the criterion sees ``[N, K]``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sized
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from sj_neurons import functional

from . import distributed
from .ema import ModelEma
from .errors import DataError
from .forward import Criterion, ForwardPass, Transform, identity
from .metrics import Scores, as_classes, check_classes, top1_top5
from .optimizer_step import OptimizerStep
from .parallel import is_sharded
from .position import begin_pass
from .progress import progress_bar

__all__ = [
    "Accuracy",
    "Criterion",
    "Transform",
    "evaluate",
    "identity",
    "set_sampler_epoch",
    "train_one_epoch",
]

_log = logging.getLogger(__name__)

Accuracy = Callable[[Tensor, Tensor], tuple[Tensor | float, Tensor | float]]


class _Meter:
    """Means of loss and accuracies, each batch counted by its samples."""

    def __init__(self, label: str, device: torch.device) -> None:
        self.label = label
        self.device = device
        self.sums = [0.0, 0.0, 0.0, 0.0]
        self.counted = 0
        self.started = time.perf_counter()

    def add(self, loss: float, acc1: float, acc5: float, samples: int) -> None:
        for index, value in enumerate((loss, acc1, acc5, 1.0)):
            self.sums[index] += value * samples

    def so_far(self) -> str:
        """Means of this process, for the progress bar."""
        loss, acc1, _, samples = self.sums
        return f"loss={loss / samples:.4f}, acc1={acc1 / samples:.1f}"

    def means(self) -> Scores:
        *sums, samples = distributed.sum_over_ranks(self.sums, self.device)
        self.counted = int(samples)
        if samples == 0:
            raise DataError(
                f"the {self.label} loader gave no batch: the data set is empty, or smaller than "
                "a batch while the loader drops incomplete ones"
            )
        scores = Scores(*(value / samples for value in sums))
        if distributed.rank() == 0:
            rate = samples / max(time.perf_counter() - self.started, 1e-9)
            _log.info(
                "%s: loss=%.4f acc1=%.3f acc5=%.3f, %.1f samples/s", self.label, *scores, rate
            )
        return scores


def train_one_epoch(
    model: nn.Module,
    loader: DataLoader[Any],
    *,
    optimizer: Optimizer,
    criterion: Criterion,
    device: torch.device | str,
    epoch: int = 0,
    preprocess: Transform = identity,
    process_output: Transform = identity,
    accuracy: Accuracy = top1_top5,
    transfer: Transform | None = None,
    amp_dtype: torch.dtype | None = None,
    scaler: torch.amp.GradScaler | None = None,
    clip_grad_norm: float | None = None,
    grad_accum_steps: int = 1,
    step_criterion: Criterion | None = None,
    ema: ModelEma | None = None,
    progress: bool = True,
) -> Scores:
    """Train over ``loader`` once; neuron states are reset after every batch.

    Args:
        transfer: moves a tensor to the device; ``x.to(device)`` by default.
        amp_dtype: autocast type of preprocessing, model, output hook and criterion.
        clip_grad_norm: upper limit of the total gradient norm.
        grad_accum_steps: batches whose gradients are averaged before an optimizer step.
        step_criterion: loss of the model's output before ``process_output``, in place of
            ``criterion``; for losses of every time step.

    Raises:
        NonFiniteLossError: the loss is NaN or infinite; the step is not applied.
        ClassCountError: a label has no output.
        DataError: the loader is empty.
    """
    device = torch.device(device)
    set_sampler_epoch(loader, epoch)
    functional.reset_net(model)
    model.train()
    meter = _Meter(f"epoch {epoch} train", device)
    first = begin_pass(loader, meter.sums)
    move = transfer or (lambda tensor: tensor.to(device))
    forward = ForwardPass(
        model, criterion, device, preprocess, process_output, move, amp_dtype, step_criterion
    )
    update = OptimizerStep(
        model,
        optimizer,
        loader,
        scaler=scaler,
        clip_grad_norm=clip_grad_norm,
        every=grad_accum_steps,
    )
    bar = progress_bar(loader, meter.label, progress)
    for step, (x, target) in enumerate(bar, start=first):
        try:
            with update.context(step):
                loss, output, target = forward(x, target)
                update.backward(loss, step)
            values = _read(loss, accuracy(output, target))
            forward.check_loss(values[0], x, f"epoch {epoch}, batch {step}")
            if closed := update.closes(step):
                update.apply()
        finally:
            functional.reset_net(model)
        if ema is not None and closed:
            count = step // grad_accum_steps
            ema.after_step(distributed.unwrap(model), step=count, epoch=epoch)
        meter.add(*values, len(target))
        if not bar.disable:
            bar.set_postfix_str(meter.so_far(), refresh=False)
    return meter.means()


def evaluate(
    model: nn.Module,
    loader: DataLoader[Any],
    *,
    criterion: Criterion,
    device: torch.device | str,
    preprocess: Transform = identity,
    process_output: Transform = identity,
    accuracy: Accuracy = top1_top5,
    transfer: Transform | None = None,
    label: str = "test",
    progress: bool = True,
) -> Scores:
    """Scores of ``model`` over ``loader``; neuron states are reset after every batch."""
    device = torch.device(device)
    move = transfer or (lambda tensor: tensor.to(device))
    functional.reset_net(model)
    model.eval()
    meter = _Meter(label, device)
    # What is gathered in inference mode cannot be gathered again for training.
    with torch.no_grad() if is_sharded(model) else torch.inference_mode():
        for x, target in progress_bar(loader, label, progress):
            try:
                output = process_output(model(preprocess(move(x))))
                check_classes(output, target)
                target = move(as_classes(target))
                values = _read(criterion(output, target), accuracy(output, target))
            finally:
                functional.reset_net(model)
            meter.add(*values, len(target))
    scores = meter.means()
    _warn_of_padding(meter, loader)
    return scores


def _warn_of_padding(meter: _Meter, loader: DataLoader[Any]) -> None:
    if distributed.world_size() == 1 or not isinstance(loader.dataset, Sized):
        return
    counted, held = meter.counted, len(loader.dataset)
    if counted != held and distributed.rank() == 0:
        _log.warning(
            "%s: %d samples were counted, the set holds %d: the sampler repeats some to give "
            "every process as many, so the scores differ slightly from a single process",
            meter.label,
            counted,
            held,
        )


def set_sampler_epoch(loader: DataLoader[Any], epoch: int) -> None:
    """Tell the samplers of ``loader`` which epoch comes; those of several processes want it."""
    for sampler in (loader.sampler, loader.batch_sampler):
        set_epoch = getattr(sampler, "set_epoch", None)
        if callable(set_epoch):
            set_epoch(epoch)


def _read(
    loss: Tensor, accuracies: tuple[Tensor | float, Tensor | float]
) -> tuple[float, float, float]:
    # One transfer for all three: each would wait for the device on its own.
    values = [torch.as_tensor(v, device=loss.device).detach().float() for v in (loss, *accuracies)]
    first, second, third = torch.stack(values).tolist()
    return first, second, third
