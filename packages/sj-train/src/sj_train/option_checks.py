"""Values and combinations of the Trainer's options that cannot work."""

from __future__ import annotations

import argparse
import math

from .errors import OptionError

__all__ = ["check_args"]

# Attribute -> lowest value.
_LOWEST = {
    "batch_size": 1,
    "epochs": 1,
    "workers": 0,
    "start_epoch": 0,
    "checkpoint_every_steps": 0,
    "lr_warmup_epochs": 0,
    "lr_step_size": 1,
    "model_ema_steps": 1,
    "prefetch_factor": 1,
    "ra_reps": 1,
    "grad_accum_steps": 1,
    "figures_every": 0,
    "train_crop_size": 1,
    "val_crop_size": 1,
    "val_resize_size": 1,
    "mixup_alpha": 0.0,
    "cutmix_alpha": 0.0,
    "eventmix_alpha": 0.0,
    "lr": 0.0,
    "weight_decay": 0.0,
    "T": 1,
    "time_chunk": 1,
    "tbptt": 1,
    "cuda_graph_warmup_steps": 0,
    "fsdp_min_params": 1,
}
_SHARES = ("label_smoothing", "random_erase", "model_ema_decay", "lr_warmup_decay", "tet_lambda")


def check_args(args: argparse.Namespace) -> None:
    """Refuse values that cannot work, before anything is read or written.

    Raises:
        OptionError: names the option and what it needs.
    """
    for name, lowest in _LOWEST.items():
        if getattr(args, name) is not None:
            _check_range(args, name, lowest, math.inf)
    for name in _SHARES:
        _check_range(args, name, 0.0, 1.0)
    if args.tet_lambda and not args.tet:
        raise OptionError("argument --tet-lambda: needs --tet")
    if args.lr_warmup_epochs and args.lr_warmup_decay == 0:
        raise OptionError("argument --lr-warmup-decay: needs a value above 0 while warming up")
    if args.clip_grad_norm is not None and not args.clip_grad_norm > 0:
        raise OptionError(
            f"argument --clip-grad-norm: needs a value above 0, got {args.clip_grad_norm}"
        )
    on_cpu = str(args.device).startswith("cpu")
    if on_cpu and args.amp_dtype == "fp16" and not args.disable_amp:
        raise OptionError("argument --amp-dtype: fp16 needs a GPU; use bf16 on cpu")
    _check_weights(args)
    _check_memory(args)
    _check_cuda_graph(args, on_cpu)
    _check_clean(args)


def _check_weights(args: argparse.Namespace) -> None:
    if args.weights is not None and not args.prototype:
        raise OptionError("argument --weights: needs --prototype")
    if args.prototype:
        flag = "--prototype" if args.weights is None else "--weights"
        raise OptionError(
            f"argument {flag}: torchvision's prototype weights are not read; use --pretrained for "
            "published weights of the model, or --resume FILE for a checkpoint"
        )


def _check_memory(args: argparse.Namespace) -> None:
    chosen = [
        flag
        for flag, on in (
            ("--time-chunk", args.time_chunk is not None),
            ("--tbptt", args.tbptt is not None),
            ("--checkpoint-blocks", args.checkpoint_blocks),
        )
        if on
    ]
    if len(chosen) > 1:
        raise OptionError(f"argument {chosen[0]}: cannot be combined with {chosen[1]}")


def _check_cuda_graph(args: argparse.Namespace, on_cpu: bool) -> None:
    if args.execution_mode != "cuda_graph":
        return
    if on_cpu:
        raise OptionError(
            "argument --execution-mode: cuda_graph needs a GPU; use eager or compile on cpu"
        )
    others = {
        "--compile": args.compile,
        "--grad-accum-steps": args.grad_accum_steps > 1,
        "--parallel fsdp": args.parallel == "fsdp",
    }
    for flag, on in others.items():
        if on:
            raise OptionError(
                f"argument --execution-mode: cuda_graph cannot be combined with {flag}"
            )


def _check_range(args: argparse.Namespace, name: str, low: float, high: float) -> None:
    value = getattr(args, name)
    if not low <= value <= high:
        flag = "--wd" if name == "weight_decay" else "--" + name.replace("_", "-")
        limits = f"at least {low}" if high == math.inf else f"between {low} and {high}"
        raise OptionError(f"argument {flag}: must be {limits}, got {value}")


def _check_clean(args: argparse.Namespace) -> None:
    if args.clean and args.resume == "latest":
        raise OptionError("argument --clean: would delete the checkpoint that --resume needs")
    if args.clean and args.test_only:
        raise OptionError("argument --clean: --test-only writes nothing, so nothing is deleted")
