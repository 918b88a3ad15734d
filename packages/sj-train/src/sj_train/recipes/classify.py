"""Any network of the model zoo learns any data set of sj-datasets, with all options of the Trainer.

    python -m sj_train.recipes.classify --dataset CIFAR10 --data-path ./data --T 4
    python -m sj_train.recipes.classify --dataset CIFAR10DVS --data-path ./CIFAR10DVS --T 10 \
        --model sew_resnet18 --neuron LIF --mixup-alpha 0 --cutmix-alpha 0 --eventmix-alpha 1

Images are repeated ``--T`` times; recordings of events are cut into ``--T`` frames.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from .. import files
from ..errors import DataError, OptionError
from ..extras import require
from ..loaders import build_samplers, build_transforms
from ..train_classify import Data, Trainer
from ..transforms import CIFAR10_STATISTICS, Statistics
from .command import (
    add_fake_data,
    default_device,
    fake_folder,
    model_errors,
    parse_with_fake,
)
from .named_data import is_image_set, named_pair

__all__ = ["ZooTrainer", "main"]


def _grey(mean: float, std: float) -> Statistics:
    """For grey images, which become three equal channels."""
    return (mean, mean, mean), (std, std, std)


_STATISTICS: dict[str, Statistics] = {
    "CIFAR10": CIFAR10_STATISTICS,
    "MNIST": _grey(0.1307, 0.3081),
    "FashionMNIST": _grey(0.2860, 0.3530),
}
_FAKE_DEFAULTS: dict[str, Any] = {
    "T": 2, "device": default_device(), "epochs": 1, "batch_size": 4, "workers": 0, "lr": 0.01,
    "lr_warmup_epochs": 0,
}  # fmt: skip
_FAKE_SAMPLES = (16, 8)


class ZooTrainer(Trainer):
    """Trains a network of :func:`sj_models.create_model` on a data set of sj-datasets."""

    def get_args_parser(self, add_help: bool = True) -> argparse.ArgumentParser:
        parser = super().get_args_parser(add_help)
        add = parser.add_argument
        add("--dataset", default="CIFAR10", help="a name in sj_datasets.DATASETS")
        add("--T", default=4, type=int, help="time steps, or frames of a recording (default: 4)")
        add("--split-by", default="number", choices=["number", "time"], help="equal in all frames")
        add("--neuron", default="LIF", help="neuron of the network (default: LIF)")
        add_fake_data(parser)
        parser.set_defaults(
            model="sew_resnet18", train_crop_size=32, val_resize_size=32, val_crop_size=32
        )
        return parser

    def get_tb_logdir_name(self, args: argparse.Namespace) -> str:
        return f"{args.dataset}_{super().get_tb_logdir_name(args)}_T{args.T}_{args.neuron}"

    def load_data(self, args: argparse.Namespace) -> Data:
        if args.T is None or args.T < 1:
            raise OptionError(f"argument --T: needs at least 1 time step, got {args.T}")
        arguments: dict[str, Any] = {"root": args.data_path}
        if args.fake_data:
            root = fake_folder(args.output_dir, args.dataset)
            files.prepare_folder(root)
            arguments = {"root": root, "fake": True}
        images = is_image_set(args.dataset)
        if not images:
            arguments |= {"data_type": "frame", "frames_number": args.T, "split_by": args.split_by}
        train, test = named_pair(args.dataset, arguments, seed=args.seed)
        if images:
            makers = build_transforms(args, _STATISTICS[args.dataset])
            train = train.with_transform(_FromArray(makers[0]))
            test = test.with_transform(_FromArray(makers[1]))
        if args.fake_data:
            train, test = (_few(s, n) for s, n in zip((train, test), _FAKE_SAMPLES, strict=True))
        return train, test, *build_samplers(args, train, test)

    def load_model(self, args: argparse.Namespace, num_classes: int) -> nn.Module:
        create_model = require("sj_models", "recipes").create_model
        options: dict[str, Any] = {"num_classes": num_classes, "step_mode": "m"}
        if not is_image_set(args.dataset):
            options["in_channels"] = 2
        with model_errors():
            return create_model(args.model, neuron=args.neuron, **options)

    def preprocess_train_sample(self, args: argparse.Namespace, x: Tensor) -> Tensor:
        if x.ndim == 5:
            return x.transpose(0, 1)  # [N, T, C, H, W] -> [T, N, C, H, W]
        if x.ndim != 4:
            raise DataError(
                f"{args.dataset} gives samples of {x.ndim - 1} axes; this recipe takes images and "
                "frames with rows and columns"
            )
        return x.unsqueeze(0).expand(args.T, *x.shape)

    def preprocess_test_sample(self, args: argparse.Namespace, x: Tensor) -> Tensor:
        return self.preprocess_train_sample(args, x)

    def process_model_output(self, args: argparse.Namespace, y: Tensor) -> Tensor:
        return y.mean(0)


class _FromArray:
    """A transform of Pillow images for uint8 arrays ``[H, W]`` or ``[H, W, C]``."""

    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __call__(self, array: Any) -> Tensor:
        return self.transform(require("PIL.Image", "images").fromarray(array))


def _few(dataset: Any, count: int) -> Any:
    """``count`` samples from all over a data set, which may be sorted by class."""
    subset = require("sj_datasets", "recipes").Subset
    count = min(count, len(dataset))
    few = subset(dataset, [i * len(dataset) // count for i in range(count)])
    few.classes = dataset.classes
    return few


def main(argv: Sequence[str] | None = None) -> None:
    trainer = ZooTrainer()
    trainer.main(parse_with_fake(trainer.get_args_parser(), argv, _FAKE_DEFAULTS))


if __name__ == "__main__":
    main()
