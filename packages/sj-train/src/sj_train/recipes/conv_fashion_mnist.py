"""A convolutional network learns Fashion-MNIST, and shows what its encoder makes of pictures.

    python -m sj_train.recipes.conv_fashion_mnist -T 4 -b 128 -opt sgd -data-dir ./data
    python -m sj_train.recipes.conv_fashion_mnist -T 4 -b 4 -opt sgd -data-dir ./data \
        -resume ./logs/T4_b128_sgd_lr0.1_c128/checkpoint_max.pth -save-es ./logs
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import Subset

from ..errors import OptionError
from ..extras import require
from ..one_line_parser import OneLineParser
from .command import data_errors, fake_folder, model_errors, parse_with_fake, run_command
from .encoder_pictures import save_encoder_pictures
from .rate_training import FAKE_DEFAULTS, RateTask, add_flags, build_run, check_flags, train_rates

__all__ = ["build_parser", "fashion_mnist", "main", "run"]

_FAKE_TRAIN, _FAKE_TEST = 512, 128


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="conv_fashion_mnist",
        description="Classify Fashion-MNIST with a convolutional SNN",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("-T", default=4, type=int, help="time steps (default: 4)")
    add("-b", default=128, type=int, help="batch size (default: 128)")
    add("-channels", default=128, type=int, help="channels of both convolutions (default: 128)")
    add("-save-es", help="folder for pictures of the encoder's spikes on a test batch; then exit")
    add_flags(parser)
    return parser


def fashion_mnist(args: argparse.Namespace) -> tuple[Any, Any]:
    """Training and test images ``[1, 28, 28]``; a small synthetic copy with ``--fake-data``."""
    dataset = require("sj_datasets", "recipes").FashionMNIST
    root = args.data_dir
    if root is None:
        if not args.fake_data:
            raise OptionError(
                "argument -data-dir: is required (the folder that holds FashionMNIST/raw)"
            )
        root = fake_folder(args.out_dir, "FashionMNIST")
    with data_errors():
        sets = [dataset(root, train=train, fake=args.fake_data) for train in (True, False)]
    if not args.fake_data:
        return sets[0], sets[1]
    return Subset(sets[0], range(_FAKE_TRAIN)), Subset(sets[1], range(_FAKE_TEST))


def run(args: argparse.Namespace) -> None:
    """Train, or draw with ``-save-es``.

    Raises:
        TrainError: options, data or checkpoint cannot be used.
    """
    check_flags(args, T=1, channels=1)
    if args.save_es and not args.resume:
        raise OptionError("argument -save-es: needs -resume with the checkpoint to draw")
    csnn = require("sj_models.csnn", "recipes").CSNN

    def build_net() -> nn.Module:
        with model_errors():
            return csnn(args.T, args.channels, args.cupy)

    train_set, test_set = fashion_mnist(args)
    name = f"T{args.T}_b{args.b}_{args.opt}_lr{args.lr}_c{args.channels}"
    task = RateTask(build_net, train_set, test_set, 10, name)
    if not args.save_es:
        train_rates(args, task)
        return
    script, loaders = build_run(args, task)
    images, _ = next(iter(loaders["test"]))
    save_encoder_pictures(script.net, images, Path(args.save_es))


def main(argv: Sequence[str] | None = None) -> None:
    small = {**FAKE_DEFAULTS, "channels": 8}
    args = parse_with_fake(build_parser(), argv, small)
    run_command("conv_fashion_mnist", lambda: run(args))


if __name__ == "__main__":
    main()
