"""One run of a Trainer: builds what its hooks return and hands it to the loop."""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from torch.utils.data import DataLoader

from sj_neurons import functional

from . import distributed, loaders, loop, optim
from .checkpoint import TrainingState
from .ema import ModelEma
from .epoch import set_sampler_epoch
from .errors import CheckpointError, HookMissingError, OptionError, TrainError
from .history import History
from .launch import check_folders, check_same_start, claim_folders
from .metrics import Scores
from .parallel import shard
from .replicas import only_running_statistics, replicated, share_buffers
from .resume import find_checkpoint, load_model_weights, resume
from .seeding import seed_everything, set_deterministic
from .time_chunks import save_memory
from .watch import Watch, count_samples

if TYPE_CHECKING:
    from .train_classify import Trainer

__all__ = ["Run", "amp_dtype"]

_log = logging.getLogger(__name__)


def amp_dtype(args: argparse.Namespace, device: torch.device) -> torch.dtype | None:
    """Type of mixed precision, or None: off by option, and off on a CPU unless asked for."""
    if args.disable_amp or (args.amp_dtype is None and device.type != "cuda"):
        return None
    return torch.bfloat16 if args.amp_dtype == "bf16" else torch.float16


def _as_scores(values: Any, hook: str) -> Scores:
    """What a hook of the user returned: numbers of any kind."""
    try:
        loss, acc1, acc5 = (float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise HookMissingError(f"{hook} must return (loss, acc1, acc5), got {values!r}") from error
    return Scores(loss, acc1, acc5)


class Run:
    """State of one run; nothing is written before data, model and checkpoint are accepted."""

    def __init__(
        self,
        trainer: Trainer,
        args: argparse.Namespace,
        device: torch.device,
        log_dir: Path,
        checkpoint_dir: Path,
    ) -> None:
        self.trainer = trainer
        self.args = args
        self.device = device
        self.log_dir = log_dir
        self.checkpoint_dir = checkpoint_dir

    def execute(self) -> History:
        args = self.args
        if not args.test_only:
            check_folders(args, self.log_dir, self.checkpoint_dir)
        self._say_what_is_off()
        set_deterministic(args.seed, args.disable_uda)
        start = None if args.resume is None else find_checkpoint(args.resume, self.checkpoint_dir)
        self._load_data()
        self._build_model()
        if args.distributed:
            # Same weights everywhere, but each rank draws its own augmentation and noise.
            seed_everything(args.seed + distributed.rank())
        return self._test_only(start) if args.test_only else self._train(start)

    def _say_what_is_off(self) -> None:
        if distributed.rank() != 0:
            return
        off = []
        if amp_dtype(self.args, self.device) is None and not self.args.disable_amp:
            off.append("mixed precision is off on cpu (--amp-dtype bf16 turns it on)")
        if self.args.sync_bn and not self.args.distributed:
            off.append("--sync-bn has no effect on a single process")
        if self.args.parallel == "fsdp" and not self.args.distributed:
            off.append("--parallel fsdp has no effect without a launcher such as torchrun")
        if off:
            _log.info("Inactive: %s", "; ".join(off))

    def _load_data(self) -> None:
        *datasets, train_sampler, test_sampler = self.trainer.load_data(self.args)
        dataset, dataset_test = datasets
        self.num_classes = loaders.count_classes(dataset, dataset_test)
        self.train_loader, self.test_loader = loaders.build_loaders(
            self.args, (dataset, dataset_test), (train_sampler, test_sampler), self.num_classes
        )

    def _build_model(self) -> None:
        args, trainer = self.args, self.trainer
        try:
            model = trainer.load_model(args, self.num_classes)
        except TrainError:
            raise
        except ValueError as error:
            raise OptionError(f"argument --model {args.model}: {error}") from error
        if any(nn.parameter.is_lazy(parameter) for parameter in model.parameters()):
            raise HookMissingError(
                f"{type(trainer).__name__}.load_model returned a model with lazy layers; pass it "
                "one batch first, or give the sizes"
            )
        model = model.to(self.device)
        if args.distributed and args.sync_bn:
            model = distributed.convert_sync_batchnorm(model)
        self._set_backend(model)
        self.model = model
        if args.channels_last:
            # torch's type stubs leave this argument out.
            cast("Any", self.model).to(memory_format=torch.channels_last)
        self.criterion = nn.CrossEntropyLoss(label_smoothing=args.label_smoothing)
        self.ema = self._average() if args.model_ema else None
        if args.distributed and args.parallel == "fsdp":
            for net in [self.model] if self.ema is None else [self.model, self.ema.module]:
                each_step = not only_running_statistics(net)
                smallest = args.fsdp_min_params
                shard(net, self.device, smallest=smallest, share_buffers=each_step)
        wrapped = save_memory(args, self.model)
        if args.distributed and args.parallel == "ddp":
            wrapped = replicated(wrapped, self.device)
        self.train_model = trainer.compile_model(args, wrapped)
        self.eval_model = trainer.get_eval_model(args, self.train_model, self.model)

    def _set_backend(self, model: nn.Module) -> None:
        backend = self.args.backend
        if backend is None:
            return
        try:
            with warnings.catch_warnings(record=True) as kept:
                warnings.simplefilter("always")
                functional.set_backend(model, backend)
        except ImportError as error:
            raise OptionError(f"argument --backend {backend}: {error}") from error
        for warning in kept:
            _log.warning("--backend: %s", warning.message)

    def _average(self) -> ModelEma:
        args = self.args
        # Larger and rarer updates weigh more, so that the average spans the same share of the run.
        scale = distributed.world_size() * args.batch_size * args.model_ema_steps / args.epochs
        decay = 1 - min(1.0, (1 - args.model_ema_decay) * scale)
        return ModelEma(
            self.model, decay, every=args.model_ema_steps, warmup_epochs=args.lr_warmup_epochs
        )

    def _state(self) -> TrainingState:
        args, trainer = self.args, self.trainer
        parameters: Any = self.model.parameters()
        if args.norm_weight_decay is not None:
            parameters = optim.parameter_groups(
                self.model,
                weight_decay=args.weight_decay,
                norm_weight_decay=args.norm_weight_decay,
            )
        optimizer = trainer.set_optimizer(args, parameters)
        scaler = None
        if amp_dtype(args, self.device) is torch.float16:
            scaler = torch.amp.GradScaler(self.device.type)
        return TrainingState(
            self.model,
            optimizer,
            trainer.set_lr_scheduler(args, optimizer),
            scaler,
            self.ema,
            generators=loop.loader_generators(train=self.train_loader, test=self.test_loader),
            args=vars(args),
            epoch=args.start_epoch - 1,
        )

    def _train(self, start: Path | None) -> History:
        state = self._state()
        if start is not None:
            resume(state, start)
        step = 0 if state.position is None else state.position.step
        check_same_start(state.epoch + 1, step)
        train_loader = loop.resumable(
            self.train_loader,
            state,
            self.checkpoint_dir,
            every=self.args.checkpoint_every_steps,
            accumulate=self.args.grad_accum_steps,
        )
        claim_folders(self.args, self.log_dir, self.checkpoint_dir)
        if distributed.rank() == 0:
            _log.info("Logs: %s", self.log_dir)
            _log.info("Checkpoints: %s", self.checkpoint_dir)

        def train(epoch: int) -> Scores:
            set_sampler_epoch(self.train_loader, epoch)  # for a train_one_epoch of its own, too
            self.trainer.before_train_one_epoch(self.args, self.train_model, epoch)
            scores = self.trainer.train_one_epoch(
                self.train_model,
                self.criterion,
                state.optimizer,
                train_loader,
                self.device,
                epoch,
                self.args,
                self.ema,
                state.scaler,
            )
            if self.args.distributed:
                for net in [self.model] if self.ema is None else [self.model, self.ema]:
                    share_buffers(net)
            return _as_scores(scores, "train_one_epoch")

        return loop.run_epochs(
            state,
            epochs=self.args.epochs,
            train=train,
            tests=self._tests(lambda: state.epoch + 1),
            log_dir=self.log_dir,
            checkpoint_dir=self.checkpoint_dir,
            watch=self._watch(),
        )

    def _watch(self) -> Watch:
        samples = {"train": count_samples(self.train_loader)}
        samples |= dict.fromkeys(("test", "ema_test"), count_samples(self.test_loader))
        # Hooks would make a compiled model compile again.
        watched = None if self.args.compile_eval else self.eval_model
        return Watch(watched, samples, figures_every=self.args.figures_every)

    def _tests(self, epoch: Callable[[], int]) -> dict[str, Callable[[], Scores]]:
        def test() -> Scores:
            self.trainer.before_test_one_epoch(self.args, self.eval_model, epoch())
            return self._evaluate(self.eval_model, self.test_loader, "")

        tests = {"test": test}
        if (ema := self.ema) is not None:
            tests["ema_test"] = lambda: self._evaluate(ema, self.test_loader, "EMA")
        return tests

    def _evaluate(self, model: nn.Module, loader: DataLoader[Any], suffix: str) -> Scores:
        scores = self.trainer.evaluate(
            self.args, model, self.criterion, loader, self.device, suffix
        )
        return _as_scores(scores, "evaluate")

    def _test_only(self, start: Path | None) -> History:
        epoch = self.args.start_epoch
        if start is not None:
            epoch = int(load_model_weights(start, self.model, self.ema).get("epoch", epoch))
        elif self.args.resume is not None:
            raise CheckpointError(f"no checkpoint to test in {self.checkpoint_dir}")
        history = History()
        row: dict[str, float] = {}
        for name, test in self._tests(lambda: epoch).items():
            row |= loop.named_scores(name, test())
        history.add(epoch, row)
        return history
