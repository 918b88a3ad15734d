"""The command line of the Trainer."""

from __future__ import annotations

import argparse

from .config_file import ConfigArgumentParser

__all__ = ["build_parser"]


def build_parser(add_help: bool = True) -> argparse.ArgumentParser:
    """All options; a subclass may declare an option again to replace it."""
    parser = ConfigArgumentParser(
        description="PyTorch Classification Training",
        add_help=add_help,
        conflict_handler="resolve",
    )
    groups = (_add_run, _add_weights, _add_optimisation, _add_spikes, _add_images, _add_average)
    for add in (*groups, _add_speed, _add_memory, _add_launch):
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


def _add_weights(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--pretrained", action="store_true", help="Use pre-trained models from the modelzoo")
    add("--prototype", action="store_true", help="refused; use --pretrained or --resume FILE")
    add("--weights", default=None, type=str, help="refused; use --pretrained or --resume FILE")


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
        "--eventmix-alpha",
        default=0.0,
        type=float,
        help="EventMix alpha for event frames, 0 disables (default: 0.0)",
    )
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
        help="how the model runs in training (default: eager)",
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
    add(
        "--cuda-graph-warmup-steps",
        default=11,
        type=int,
        metavar="N",
        help="batches before CUDA graphs are captured (default: 11)",
    )


def _add_launch(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--sync-bn", action="store_true", help="Use sync batch norm (several processes)")
    add(
        "--parallel",
        default="ddp",
        choices=["ddp", "fsdp"],
        help="processes hold the whole model (ddp) or a part of each parameter (fsdp), with "
        "checkpoints in parts, too (default: ddp)",
    )
    add(
        "--fsdp-min-params",
        default=1_000_000,
        type=int,
        metavar="N",
        help="parameters of a block that is gathered on its own (default: 1000000)",
    )
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
