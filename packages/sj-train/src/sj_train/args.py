"""The command line of the Trainer."""

from __future__ import annotations

import argparse
import math
from typing import Any

from . import __version__
from .config_file import ConfigArgumentParser
from .errors import OptionError

__all__ = ["build_parser", "check_args", "unserved_flags"]

# Flag -> (attribute, value that leaves it out). They parse, so that existing commands do, and
# are refused when used.
_UNSERVED: dict[str, tuple[str, Any]] = {
    "--prototype": ("prototype", False),
    "--weights": ("weights", None),
    "--cuda-graph-warmup-steps": ("cuda_graph_warmup_steps", 11),
}


def build_parser(add_help: bool = True) -> argparse.ArgumentParser:
    """All options; a subclass may declare an option again to replace it."""
    parser = ConfigArgumentParser(
        description="PyTorch Classification Training",
        add_help=add_help,
        conflict_handler="resolve",
    )
    groups = (_add_run, _add_optimisation, _add_spikes, _add_images, _add_average, _add_speed)
    for add in (*groups, _add_memory, _add_launch):
        add(parser)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--config", default=None, metavar="FILE", help="file of options (.toml, .json, .yaml)")
    add("--data-path", default="./data", type=str, help="dataset path")
    add("--model", default="resnet18", type=str, help="model name")
    add("--device", default="cuda", type=str, help="device (Use cuda or cpu Default: cuda)")
    add(
        "-b",
        "--batch-size",
        default=32,
        type=int,
        help="images per gpu, the total batch size is $NGPU x batch_size",
    )
    add("--epochs", default=90, type=int, metavar="N", help="number of total epochs to run")
    add("--output-dir", default="./logs", type=str, help="path to save outputs")
    add(
        "--resume",
        default=None,
        type=str,
        help="path of checkpoint. If set to 'latest', it will try to load the latest checkpoint",
    )
    add(
        "--checkpoint-every-steps",
        default=0,
        type=int,
        metavar="N",
        help="write a checkpoint every N batches as well, 0: only after each epoch (default: 0)",
    )
    add("--start-epoch", default=0, type=int, metavar="N", help="start epoch")
    add("--test-only", action="store_true", help="Only test the model")
    add("--pretrained", action="store_true", help="Use pre-trained models from the modelzoo")
    add("--prototype", action="store_true", help="Use prototype model builders (not served yet)")
    add("--weights", default=None, type=str, help="the weights enum name to load (not served yet)")
    add("--seed", default=2020, type=int, help="the random seed")
    add(
        "--print-logdir",
        action="store_true",
        help="print the dirs for tensorboard logs and pt files and exit",
    )
    add("--clean", action="store_true", help="delete the dirs for tensorboard logs and pt files")
    add(
        "--disable-uda",
        action="store_true",
        help="not set 'torch.use_deterministic_algorithms(True)', which can avoid the error raised "
        "by some functions that do not have a deterministic implementation",
    )


def _add_optimisation(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--opt", default="sgd", type=str, help="optimizer: sgd, sgd_nesterov, rmsprop, adamw")
    add("--lr", default=0.1, type=float, help="initial learning rate")
    add("--momentum", default=0.9, type=float, metavar="M", help="momentum")
    add(
        "--wd",
        "--weight-decay",
        default=0.0,
        type=float,
        metavar="W",
        dest="weight_decay",
        help="weight decay (default: 0.)",
    )
    add(
        "--norm-weight-decay",
        default=None,
        type=float,
        help="weight decay for Normalization layers (default: None, same value as --wd)",
    )
    add("--label-smoothing", default=0.1, type=float, help="label smoothing (default: 0.1)")
    add("--lr-scheduler", default="cosa", type=str, help="step, cosa or exp (default: cosa)")
    add("--lr-warmup-epochs", default=5, type=int, help="number of warm-up epochs (default: 5)")
    add(
        "--lr-warmup-method",
        default="linear",
        type=str,
        help="linear or constant (default: linear)",
    )
    add("--lr-warmup-decay", default=0.01, type=float, help="the decay for lr (default: 0.01)")
    add("--lr-step-size", default=30, type=int, help="decrease lr every step-size epochs")
    add("--lr-gamma", default=0.1, type=float, help="decrease lr by a factor of lr-gamma")
    add("--clip-grad-norm", default=None, type=float, help="the maximum gradient norm")
    add(
        "--grad-accum-steps",
        default=1,
        type=int,
        metavar="K",
        help="batches whose gradients are averaged before an optimizer step (default: 1)",
    )


def _add_spikes(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--T",
        default=None,
        type=int,
        help="time steps: the input is repeated T times (event frames are transposed to time "
        "first), the output averaged over time (default: the model's hooks do it)",
    )
    add(
        "--backend",
        default=None,
        choices=["auto", "torch", "cpp", "cupy"],
        help="backend of the neurons (default: as load_model leaves it)",
    )
    add("--tet", action="store_true", help="mean of the loss of every time step (TET)")
    add(
        "--tet-lambda",
        default=0.0,
        type=float,
        help="weight of the TET loss that pulls every output to 1, 0 to 1 (default: 0.0)",
    )
    add(
        "--figures-every",
        default=0,
        type=int,
        metavar="N",
        help="draw the spikes of one test batch every N epochs, 0 never (default: 0)",
    )


def _add_images(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--mixup-alpha", default=0.2, type=float, help="mixup alpha, 0 disables (default: 0.2)")
    add("--cutmix-alpha", default=1.0, type=float, help="cutmix alpha, 0 disables (default: 1.0)")
    add(
        "--auto-augment",
        default="ta_wide",
        type=str,
        help="auto augment policy: ta_wide, ra, imagenet, cifar10, svhn, none (default: ta_wide)",
    )
    add(
        "--random-erase",
        default=0.1,
        type=float,
        help="random erasing probability (default: 0.1)",
    )
    add("--interpolation", default="bilinear", type=str, help="the interpolation method")
    add("--val-resize-size", default=232, type=int, help="resize size of validation images")
    add("--val-crop-size", default=224, type=int, help="central crop size of validation images")
    add("--train-crop-size", default=176, type=int, help="random crop size of training images")
    add(
        "--cache-dataset",
        action="store_true",
        help="Keep the list of images for quicker initialization, in "
        "~/.cache/sj-train/imagefolder; delete it there when the images change",
    )
    add("--ra-sampler", action="store_true", help="whether to use Repeated Augmentation")
    add("--ra-reps", default=4, type=int, help="repetitions for Repeated Augmentation (default: 4)")


def _add_memory(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--time-chunk",
        default=None,
        type=int,
        metavar="K",
        help="keep the activations of K time steps only and compute the others again in the "
        "backward pass; for nets without layers over time, such as BatchNorm",
    )
    add(
        "--checkpoint-blocks",
        action="store_true",
        help="keep the inputs of blocks only and compute the rest again; for any net",
    )
    add(
        "--tbptt",
        default=None,
        type=int,
        metavar="K",
        help="as --time-chunk, and gradients stop between chunks (truncated backpropagation)",
    )


def _add_average(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--model-ema",
        action="store_true",
        help="enable tracking Exponential Moving Average of model parameters",
    )
    add("--model-ema-steps", default=32, type=int, help="iterations between updates (default: 32)")
    add("--model-ema-decay", default=0.99998, type=float, help="decay factor (default: 0.99998)")


def _add_speed(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-j", "--workers", default=16, type=int, metavar="N", help="data loading workers")
    add("--persistent-workers", action="store_true", help="keep the workers between epochs")
    add("--prefetch-factor", default=2, type=int, help="batches a worker loads ahead (default: 2)")
    add("--disable-pinmemory", action="store_true", help="not use pin memory in dataloader")
    add("--channels-last", action="store_true", help="channels-last memory layout of images")
    add("--disable-amp", action="store_true", help="not use automatic mixed precision training")
    add(
        "--amp-dtype",
        default=None,
        choices=["fp16", "bf16"],
        help="type of mixed precision (default: fp16 on cuda, none on cpu)",
    )
    add(
        "--execution-mode",
        default="eager",
        choices=["eager", "compile", "cuda_graph"],
        help="how the model runs; cuda_graph is not served yet (default: eager)",
    )
    add("--compile", action="store_true", help="same as --execution-mode compile")
    add("--compile-backend", default="inductor", type=str, help="torch.compile backend")
    add("--compile-mode", default=None, type=str, help="torch.compile mode")
    add("--compile-eval", action="store_true", help="compile the evaluated model too")
    add(
        "--compile-disable-cudagraphs",
        action="store_true",
        help="no CUDA graphs within torch.compile, whatever its mode",
    )
    add("--cuda-graph-warmup-steps", default=11, type=int, help="(not served yet)")


def _add_launch(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--sync-bn", action="store_true", help="Use sync batch norm (several processes)")
    add("--world-size", default=1, type=int, help="number of distributed processes")
    add("--dist-url", default="env://", type=str, help="url used to set up distributed training")
    add(
        "--local_rank",
        "--local-rank",
        default=None,
        type=int,
        dest="local_rank",
        help="args for DDP, which should not be set by user",
    )


def unserved_flags() -> list[str]:
    """Options that parse but cannot be used yet."""
    return [*_UNSERVED, "--execution-mode cuda_graph"]


def check_args(args: argparse.Namespace) -> None:
    """Refuse values that cannot work, before anything is read or written.

    Raises:
        OptionError: names the option and what it needs.
    """
    _check_served(args)
    for name, lowest in (
        ("batch_size", 1),
        ("epochs", 1),
        ("workers", 0),
        ("start_epoch", 0),
        ("checkpoint_every_steps", 0),
        ("lr_warmup_epochs", 0),
        ("lr_step_size", 1),
        ("model_ema_steps", 1),
        ("prefetch_factor", 1),
        ("ra_reps", 1),
        ("grad_accum_steps", 1),
        ("figures_every", 0),
        ("train_crop_size", 1),
        ("val_crop_size", 1),
        ("val_resize_size", 1),
        ("mixup_alpha", 0.0),
        ("cutmix_alpha", 0.0),
        ("lr", 0.0),
        ("weight_decay", 0.0),
    ):
        _check_range(args, name, lowest, math.inf)
    shares = ("label_smoothing", "random_erase", "model_ema_decay", "lr_warmup_decay", "tet_lambda")
    for name in shares:
        _check_range(args, name, 0.0, 1.0)
    if args.T is not None:
        _check_range(args, "T", 1, math.inf)
    for name in ("time_chunk", "tbptt"):
        if getattr(args, name) is not None:
            _check_range(args, name, 1, math.inf)
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
    _check_clean(args)


def _check_served(args: argparse.Namespace) -> None:
    if args.weights is not None and not args.prototype:
        raise OptionError("argument --weights: needs --prototype")
    used = [flag for flag, (name, off) in _UNSERVED.items() if getattr(args, name) != off]
    if args.execution_mode == "cuda_graph":
        used.append("--execution-mode cuda_graph")
    if used:
        version = ".".join(__version__.split(".")[:2])
        raise OptionError(f"argument {used[0]}: not served yet in sj-train {version}; leave it out")


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
