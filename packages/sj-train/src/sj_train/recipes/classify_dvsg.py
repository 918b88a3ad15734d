"""A convolutional network learns DVS128 Gesture from frames of events.

python -m sj_train.recipes.classify_dvsg -T 16 -b 16 -opt adam -lr 0.001 -data-dir ./DVS128Gesture
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils.data import Subset

from sj_neurons import functional, neuron, surrogate

from .. import files
from ..errors import OptionError
from ..extras import require
from ..one_line_parser import OneLineParser
from .command import data_errors, fake_folder, model_errors, parse_with_fake, run_command
from .rate_training import FAKE_DEFAULTS, RateTask, add_flags, check_flags, train_rates

__all__ = ["build_parser", "dvs_gesture", "main", "run"]

CLASSES = 11
_FAKE_TRAIN, _FAKE_TEST = 44, 22


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="classify_dvsg", description="Classify DVS128 Gesture", allow_abbrev=False
    )
    add = parser.add_argument
    add("-T", default=16, type=int, help="frames of a sample (default: 16)")
    add("-b", default=16, type=int, help="batch size (default: 16)")
    add("-channels", default=128, type=int, help="channels of the convolutions (default: 128)")
    add_flags(parser)
    return parser


def dvs_gesture(args: argparse.Namespace) -> tuple[Any, Any]:
    """Frames ``[T, 2, 128, 128]`` with equal counts of events, for training and test."""
    dataset = require("sj_datasets", "recipes").DVS128Gesture
    root = args.data_dir
    if root is None:
        if not args.fake_data:
            raise OptionError("argument -data-dir: is required (the folder of DVS128 Gesture)")
        root = fake_folder(args.out_dir, "DVS128Gesture")
        files.prepare_folder(root)
    with data_errors():
        sets = [
            dataset(
                root, train=train, data_type="frame", frames_number=args.T, split_by="number",
                fake=args.fake_data,
            )
            for train in (True, False)
        ]  # fmt: skip
    if not args.fake_data:
        return sets[0], sets[1]
    return _spread(sets[0], _FAKE_TRAIN), _spread(sets[1], _FAKE_TEST)


def run(args: argparse.Namespace) -> None:
    """Train and test.

    Raises:
        TrainError: options, data or checkpoint cannot be used.
    """
    check_flags(args, T=1, channels=1)
    gesture_net = require("sj_models.parametric_lif_net", "recipes").DVSGestureNet

    def build_net() -> nn.Module:
        with model_errors():
            net = gesture_net(
                channels=args.channels, spiking_neuron=neuron.LIFNode,
                surrogate_function=surrogate.ATan(), detach_reset=True,
            )  # fmt: skip
            functional.set_step_mode(net, "m")
            if args.cupy:
                functional.set_backend(net, "cupy", instance=neuron.LIFNode)
        return net

    train_set, test_set = dvs_gesture(args)
    name = f"T{args.T}_b{args.b}_{args.opt}_lr{args.lr}_c{args.channels}"
    train_rates(
        args,
        RateTask(build_net, train_set, test_set, CLASSES, name, _time_first, _mean_over_time),
    )


def _time_first(frames: Tensor) -> Tensor:
    return frames.transpose(0, 1)


def _mean_over_time(output: Tensor) -> Tensor:
    return output.mean(0)


def _spread(dataset: Any, count: int) -> Subset[Any]:
    """``count`` samples from all over the data set, which is sorted by class."""
    return Subset(dataset, [i * len(dataset) // count for i in range(count)])


def main(argv: Sequence[str] | None = None) -> None:
    small = {**FAKE_DEFAULTS, "T": 4, "b": 4, "channels": 16, "lr": 0.01}
    args = parse_with_fake(build_parser(), argv, small)
    run_command("classify_dvsg", lambda: run(args))


if __name__ == "__main__":
    main()
