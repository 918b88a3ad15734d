"""A network of sz-models learns to make pictures of spike-camera streams.

    python -m sj_train.recipes.train_reconstruction --method bsf --dataset reds_base \
        --data-path ./REDS_BASE --epochs 100 --loss l1=1

Scalars per epoch: ``train_loss``, ``train_<loss>`` of each part, ``test_psnr``, ``test_ssim``.
Files in ``<output-dir>/<method>_<dataset>_b<b>_e<epochs>_lr<lr>_seed<seed>``: ``args.txt``,
``checkpoint_latest.pth``, ``checkpoint_max.pth`` (keys ``net optimizer lr_scheduler epoch
max_test_psnr``), ``visuals/epoch_<n>.png`` with a row per test sample.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from ..errors import DataError, OptionError
from ..extras import require
from ..loop import loader_generators
from ..one_line_parser import OneLineParser
from ..seeding import seed_everything, seed_worker
from .command import (
    add_fake_data,
    check_at_least,
    data_errors,
    default_device,
    fake_folder,
    model_errors,
    parse_with_fake,
    run_command,
    usable_device,
)
from .reconstruction import Reconstruction, train_reconstruction
from .script_run import ScriptRun

__all__ = ["build_parser", "main", "run"]

_FAKE_DEFAULTS: dict[str, Any] = {
    "method": "base", "dataset": "base", "device": default_device(), "epochs": 2, "batch_size": 2,
    "workers": 0, "lr": 1e-3,
}  # fmt: skip
_FAKE_SIDE = 32


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="train_reconstruction", description="Train a network of sz-models")
    add = parser.add_argument
    add("--method", default="bsf", help="network, a name in sz_models.METHODS (default: bsf)")
    add("--dataset", default="reds_base", help="a name in sz_models.DATASETS (default: reds_base)")
    add("--data-path", help="folder of the data set")
    add("--height", type=int, help="rows of the streams (default: the data set's)")
    add("--width", type=int, help="columns of the streams (default: the data set's)")
    add("--crop-size", type=int, help="side of random crops in training (default: whole frames)")
    add("--loss", nargs="+", default=["l1=1"], metavar="NAME=WEIGHT", help="l1, l2, or the net's")
    add("--device", default="cuda", help="device (default: cuda)")
    add("-b", "--batch-size", default=8, type=int, help="streams per batch (default: 8)")
    add("-j", "--workers", default=4, type=int, help="data loading workers (default: 4)")
    add("--epochs", default=100, type=int, help="epochs (default: 100)")
    add("--lr", default=1e-4, type=float, help="learning rate of Adam (default: 0.0001)")
    add("--output-dir", default="./logs", help="folder for logs and checkpoints")
    add("--resume", help="checkpoint to go on from")
    add("--clean", action="store_true", help="replace an earlier run with these options")
    add("--seed", default=2020, type=int, help="random seed (default: 2020)")
    add("--visuals", default=4, type=int, help="test samples to draw per epoch (default: 4)")
    add_fake_data(parser)
    return parser


def run(args: argparse.Namespace) -> ScriptRun:
    """Train, and test after each epoch.

    Raises:
        TrainError: options, data or checkpoint cannot be used.
    """
    check_at_least(args, "--", batch_size=1, workers=0, epochs=1, lr=0.0, visuals=0)
    device = usable_device(args.device, "--device")
    weights = dict(_loss_weight(text) for text in args.loss)
    seed_everything(args.seed)
    model = _build_model(args.method, device)
    for name in weights:
        with model_errors():
            model.get_loss_func(name)
    loaders = _build_loaders(args, model.input_length())
    network = model.network()
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise OptionError(f"argument --method: {args.method} has nothing to train")
    optimizer = torch.optim.Adam(network.parameters(), lr=args.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
    script = ScriptRun(
        network, optimizer, schedule, generators=loader_generators(**loaders),
        best_key="max_test_psnr",
    )  # fmt: skip
    if args.resume:
        script.resume(Path(args.resume))
    name = (
        f"{args.method}_{args.dataset}_b{args.batch_size}_e{args.epochs}_lr{args.lr}"
        f"_seed{args.seed}"
    )
    task = Reconstruction(model, loaders["train"], loaders["test"], weights, args.visuals)
    train_reconstruction(args, script, task, Path(args.output_dir) / name)
    return script


def _build_model(method: str, device: torch.device) -> Any:
    zoo = require("sz_models", "reconstruction")
    with model_errors():
        model = zoo.build_model_name(method)
        model.device = device
        return model.build_network("train")


def _build_loaders(args: argparse.Namespace, length: int) -> dict[str, DataLoader[Any]]:
    cameras = require("sj_datasets.spike_camera", "recipes")
    root = args.data_path
    if root is None:
        if not args.fake_data:
            raise OptionError("argument --data-path: is required (the folder of the data set)")
        height, width = _fake_size(args)
        root = fake_folder(args.output_dir, f"{args.dataset}_{height}x{width}")
    parts: dict[str, DataLoader[Any]] = {}
    for split in ("train", "test"):
        with data_errors("put its files there, or name their folder with --data-path"):
            dataset = cameras.build_dataset_name(args.dataset)
            _configure(dataset.cfg, args, root, length)
            dataset.build_source(split)
        if split == "train" and len(dataset) < args.batch_size:
            raise DataError(
                f"the training set has {len(dataset)} streams, less than one batch of "
                f"{args.batch_size}; lower --batch-size"
            )
        parts[split] = DataLoader(
            dataset, args.batch_size, shuffle=split == "train", drop_last=split == "train",
            num_workers=args.workers, worker_init_fn=seed_worker,
            generator=torch.Generator().manual_seed(args.seed),
        )  # fmt: skip
    return parts


def _configure(cfg: Any, args: argparse.Namespace, root: str | Path, length: int) -> None:
    cfg.root_dir, cfg.fake = Path(root), args.fake_data
    if args.fake_data:
        cfg.height, cfg.width = _fake_size(args)
    cfg.height = cfg.height if args.height is None else args.height
    cfg.width = cfg.width if args.width is None else args.width
    cfg.spike_length_train = cfg.spike_length_test = length
    if args.crop_size is not None:
        cfg.use_aug, cfg.crop_size = True, (args.crop_size, args.crop_size)


def _fake_size(args: argparse.Namespace) -> tuple[int, int]:
    """Rows and columns of small frames that hold the crops; rows are packed by 8 pixels."""
    side = max(_FAKE_SIDE, -(-(args.crop_size or 0) // 8) * 8)
    height = side if args.height is None else args.height
    return height, side if args.width is None else args.width


def _loss_weight(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        return name, float(weight or 1)
    except ValueError:
        raise OptionError(f"argument --loss: {text!r} is no NAME=WEIGHT") from None


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_with_fake(build_parser(), argv, _FAKE_DEFAULTS)
    run_command("train_reconstruction", lambda: run(args))


if __name__ == "__main__":
    main()
