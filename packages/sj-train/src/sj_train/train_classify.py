"""Training of classifiers from the command line, with a method to override for every step.

A run reads ``<data-path>/train`` and ``<data-path>/val``, writes TensorBoard scalars to
``<output-dir>/<name>`` and checkpoints to ``<output-dir>/pt/<name>``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset, Sampler

from . import distributed, loaders, loop, optim
from .args import build_parser
from .cuda_graph import captured
from .data import CIFAR10, ImageFolder
from .dataset_cache import cached_image_folder
from .ema import ModelEma
from .errors import HookMissingError, TrainError
from .history import History
from .launch import leave_processes, lost_processes_named, run_folders, start_processes
from .layout import add_time, channels_last
from .logs import console_logging
from .metrics import top1_top5
from .option_checks import check_args
from .run import Run, amp_dtype
from .seeding import seed_worker, set_deterministic
from .tet import TETLoss
from .transforms import CIFAR10_STATISTICS, IMAGENET_STATISTICS

__all__ = ["Trainer", "seed_worker", "set_deterministic"]

_log = logging.getLogger(__name__)

Data = tuple[Dataset[Any], Dataset[Any], Sampler[int], Sampler[int]]


class Trainer:
    """Trains a classifier; subclass it and override what differs.

    Only ``load_model`` must be provided.

    Example:
        >>> class MyTrainer(Trainer):
        ...     def load_model(self, args, num_classes):
        ...         return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, num_classes))
        >>> MyTrainer().get_args_parser().parse_args(["--epochs", "1"]).epochs
        1
    """

    def get_args_parser(self, add_help: bool = True) -> argparse.ArgumentParser:
        """Parser with all options; extend it by ``parser.add_argument`` and return it."""
        return build_parser(add_help)

    def load_model(self, args: argparse.Namespace, num_classes: int) -> nn.Module:
        """The model, with ``num_classes`` outputs."""
        raise HookMissingError(
            f"{type(self).__name__} builds no model: subclass Trainer and return one from "
            "load_model(self, args, num_classes)"
        )

    def load_data(self, args: argparse.Namespace) -> Data:
        """Training set, test set and their samplers; the sets have an attribute ``classes``."""
        return self.load_ImageNet(args)

    def load_ImageNet(self, args: argparse.Namespace) -> Data:
        """Image folders ``<data-path>/train`` and ``<data-path>/val``."""
        train, test = loaders.build_transforms(args, IMAGENET_STATISTICS)
        folder = cached_image_folder if args.cache_dataset else ImageFolder
        dataset = folder(Path(args.data_path) / "train", train)
        dataset_test = folder(Path(args.data_path) / "val", test)
        return dataset, dataset_test, *loaders.build_samplers(args, dataset, dataset_test)

    def load_CIFAR10(self, args: argparse.Namespace) -> Data:
        """CIFAR-10 from ``<data-path>/cifar-10-batches-py``."""
        train, test = loaders.build_transforms(args, CIFAR10_STATISTICS)
        dataset = CIFAR10(args.data_path, train, train=True)
        dataset_test = CIFAR10(args.data_path, test, train=False)
        return dataset, dataset_test, *loaders.build_samplers(args, dataset, dataset_test)

    def preprocess_train_sample(self, args: argparse.Namespace, x: Tensor) -> Tensor:
        """The place to add the time axis, ``[N, C, H, W]`` to ``[T, N, C, H, W]``.

        Does so with ``--T``, and returns ``x`` as it is without.
        """
        return x if args.T is None else add_time(x, args.T)

    def preprocess_test_sample(self, args: argparse.Namespace, x: Tensor) -> Tensor:
        return x if args.T is None else add_time(x, args.T)

    def process_model_output(self, args: argparse.Namespace, y: Tensor) -> Tensor:
        """The place to reduce the time axis: ``y.mean(0)`` with ``--T``, else ``y`` as it is."""
        return y.mean(0) if args.T is not None and y.ndim == 3 else y

    def cal_acc1_acc5(
        self, output: Tensor, target: Tensor
    ) -> tuple[Tensor | float, Tensor | float]:
        """Acc@1 and Acc@min(5, K) in percent; mixed targets ``[N, K]`` count by their argmax."""
        return top1_top5(output, target)

    def set_optimizer(self, args: argparse.Namespace, parameters: Iterable[Any]) -> Optimizer:
        return optim.build_optimizer(
            args.opt,
            parameters,
            lr=args.lr,
            momentum=args.momentum,
            weight_decay=args.weight_decay,
        )

    def set_lr_scheduler(self, args: argparse.Namespace, optimizer: Optimizer) -> LRScheduler:
        """The schedule, stepped once per epoch."""
        return optim.build_scheduler(
            optimizer,
            args.lr_scheduler,
            epochs=args.epochs,
            step_size=args.lr_step_size,
            gamma=args.lr_gamma,
            warmup_epochs=args.lr_warmup_epochs,
            warmup_method=args.lr_warmup_method,
            warmup_decay=args.lr_warmup_decay,
        )

    def train_one_epoch(
        self,
        model: nn.Module,
        criterion: loop.Criterion,
        optimizer: Optimizer,
        data_loader: DataLoader[Any],
        device: torch.device,
        epoch: int,
        args: argparse.Namespace,
        model_ema: ModelEma | None = None,
        scaler: torch.amp.GradScaler | None = None,
    ) -> tuple[float, float, float]:
        """One pass over the training data; returns (train_loss, train_acc1, train_acc5)."""
        return loop.train_one_epoch(
            model,
            data_loader,
            optimizer=optimizer,
            criterion=criterion,
            device=device,
            epoch=epoch,
            preprocess=self._preprocess(args, self.preprocess_train_sample),
            process_output=partial(self.process_model_output, args),
            accuracy=self.cal_acc1_acc5,
            transfer=self._transfer(args, device),
            amp_dtype=amp_dtype(args, device),
            scaler=scaler,
            clip_grad_norm=args.clip_grad_norm,
            grad_accum_steps=args.grad_accum_steps,
            step_criterion=TETLoss(criterion, weight=args.tet_lambda) if args.tet else None,
            ema=model_ema,
        )

    def evaluate(
        self,
        args: argparse.Namespace,
        model: nn.Module,
        criterion: loop.Criterion,
        data_loader: DataLoader[Any],
        device: torch.device,
        log_suffix: str = "",
    ) -> tuple[float, float, float]:
        """One pass over the test data; returns (test_loss, test_acc1, test_acc5)."""
        return loop.evaluate(
            model,
            data_loader,
            criterion=criterion,
            device=device,
            preprocess=self._preprocess(args, self.preprocess_test_sample),
            process_output=partial(self.process_model_output, args),
            accuracy=self.cal_acc1_acc5,
            transfer=self._transfer(args, device),
            label=f"test {log_suffix}".strip(),
        )

    def before_train_one_epoch(
        self, args: argparse.Namespace, model: nn.Module, epoch: int
    ) -> None:
        """Called before the training pass of an epoch."""

    def before_test_one_epoch(self, args: argparse.Namespace, model: nn.Module, epoch: int) -> None:
        """Called before the test pass of an epoch."""

    def get_tb_logdir_name(self, args: argparse.Namespace) -> str:
        """Name of the run's folders, made from its main options."""
        return (
            f"{args.model}_b{args.batch_size}_e{args.epochs}_{args.opt}_lr{args.lr}"
            f"_wd{args.weight_decay}_ls{args.label_smoothing}_ma{args.mixup_alpha}"
            f"_ca{args.cutmix_alpha}_sbn{1 if args.sync_bn else 0}"
            f"_ra{args.ra_reps if args.ra_sampler else 0}_re{args.random_erase}"
            f"_aaug{args.auto_augment}_size{args.train_crop_size}_{args.val_resize_size}"
            f"_{args.val_crop_size}_seed{args.seed}"
        )

    def compile_model(
        self, args: argparse.Namespace, model: nn.Module, *, enabled: bool | None = None
    ) -> nn.Module:
        """``torch.compile(model)`` or CUDA graphs if the options (or ``enabled``) ask for it."""
        if enabled is None and args.execution_mode == "cuda_graph":
            return captured(model, warmup_steps=args.cuda_graph_warmup_steps)
        if enabled is None:
            enabled = args.compile or args.execution_mode == "compile"
        if not enabled:
            return model
        mode, options = args.compile_mode, None
        if args.compile_disable_cudagraphs and args.compile_backend == "inductor":
            # torch.compile takes a mode or options: the mode's own options and one more.
            options = torch._inductor.list_mode_options(mode) if mode else {}
            mode, options = None, {**options, "triton.cudagraphs": False}
        compiled = torch.compile(model, backend=args.compile_backend, mode=mode, options=options)
        assert isinstance(compiled, nn.Module)  # torch types it as a plain callable
        return compiled

    def get_eval_model(
        self, args: argparse.Namespace, train_model: nn.Module, model_without_ddp: nn.Module
    ) -> nn.Module:
        """The model that is evaluated: not compiled, unless ``--compile-eval``."""
        return self.compile_model(args, model_without_ddp, enabled=args.compile_eval)

    def get_data_to_device_kwargs(self, args: argparse.Namespace) -> dict[str, Any]:
        """Arguments of ``Tensor.to`` for inputs and targets."""
        return {"non_blocking": not args.disable_pinmemory}

    def main(self, args: argparse.Namespace) -> History | None:
        """Whole run for a command line: prints messages; bad input ends it with status 2."""
        with console_logging():
            try:
                return self.run(args)
            except TrainError as error:
                print(f"{Path(sys.argv[0]).name}: error: {_one_line(error)}", file=sys.stderr)
                raise SystemExit(2) from None

    def run(self, args: argparse.Namespace) -> History | None:
        """Whole run as a library call: like :meth:`main`, but raises :class:`TrainError`.

        Returns:
            What was measured; None with ``--print-logdir``.
        """
        check_args(args)
        log_dir, checkpoint_dir = run_folders(args.output_dir, self.get_tb_logdir_name(args))
        if args.print_logdir:
            print(log_dir)
            print(checkpoint_dir)
            return None
        if getattr(self.load_model, "__func__", None) is Trainer.load_model:
            self.load_model(args, 0)
        joined_here = not distributed.is_initialised()
        device = start_processes(args)
        finished = False
        try:
            with lost_processes_named():
                history = Run(self, args, device, log_dir, checkpoint_dir).execute()
            finished = True
        finally:
            if joined_here and args.distributed:
                leave_processes(wait=finished)
        return history

    def _preprocess(
        self,
        args: argparse.Namespace,
        hook: Callable[[argparse.Namespace, Tensor], Tensor],
    ) -> Callable[[Tensor], Tensor]:
        if not args.channels_last:
            return partial(hook, args)
        return lambda x: channels_last(hook(args, x))

    def _transfer(
        self, args: argparse.Namespace, device: torch.device
    ) -> Callable[[Tensor], Tensor]:
        options = self.get_data_to_device_kwargs(args)
        return lambda tensor: tensor.to(device, **options)


def _one_line(error: Exception) -> str:
    # An error of a loader worker carries the worker's whole traceback; its last line says it.
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix(f"{type(error).__module__}.{type(error).__name__}: ")


def main(argv: list[str] | None = None) -> None:
    """Command line of the plain Trainer: shows the options; training needs a subclass."""
    trainer = Trainer()
    trainer.main(trainer.get_args_parser().parse_args(argv))


if __name__ == "__main__":
    main()
