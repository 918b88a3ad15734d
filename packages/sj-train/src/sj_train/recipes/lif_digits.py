"""Real handwritten digits, 8 x 8 pixels, learned on one core in a minute; nothing is downloaded.

    python -m sj_train.recipes.lif_digits                  # convolutions, test accuracy above 0.98
    python -m sj_train.recipes.lif_digits --model lif      # one layer of LIF neurons

The digits come with scikit-learn (extra ``digits``); with ``--fake-data`` synthetic ones are used.
Folders: ``<output-dir>/logs``, ``<output-dir>/checkpoints``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from sj_neurons import functional, neuron, surrogate

from .. import loop
from ..errors import OptionError, RunExistsError
from ..extras import require
from ..one_line_parser import OneLineParser
from ..seeding import seed_everything
from .command import (
    add_fake_data,
    check_at_least,
    model_errors,
    parse_with_fake,
    run_command,
    usable_device,
)
from .rate_training import rate_loss

__all__ = ["build_parser", "digits", "fake_digits", "main", "run"]

_log = logging.getLogger(__name__)
_CLASSES, _SIDE = 10, 8


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="lif_digits", description="Classify handwritten digits")
    add = parser.add_argument
    add("--model", default="csnn", choices=["csnn", "lif"], help="network (default: csnn)")
    add("--T", default=4, type=int, help="time steps (default: 4)")
    add("--channels", default=32, type=int, help="channels of csnn (default: 32)")
    add("--device", default="cpu", help="device (default: cpu)")
    add("-b", "--batch-size", default=64, type=int, help="batch size (default: 64)")
    add("--epochs", default=30, type=int, help="epochs (default: 30)")
    add("--lr", default=4e-3, type=float, help="learning rate of Adam (default: 0.004)")
    add("--output-dir", default="./logs/lif_digits", help="folder for logs and checkpoints")
    add("--resume", help="checkpoint to go on from, or 'latest'")
    add("--clean", action="store_true", help="replace an earlier run in the folder")
    add("--seed", default=0, type=int, help="random seed (default: 0)")
    add_fake_data(parser)
    return parser


def digits() -> tuple[TensorDataset, TensorDataset]:
    """1,797 images ``[1, 8, 8]`` in 0..1, every fourth of each class kept for the test."""
    source = require("sklearn.datasets", "digits").load_digits()
    images = torch.tensor(source.images / 16, dtype=torch.float32)[:, None]
    return _split(images, torch.tensor(source.target, dtype=torch.int64))


def fake_digits(count: int = 400) -> tuple[TensorDataset, TensorDataset]:
    """Ten random patterns under noise."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % _CLASSES
    patterns = torch.rand(_CLASSES, 1, _SIDE, _SIDE, generator=draw).round()
    noise = torch.rand(count, 1, _SIDE, _SIDE, generator=draw)
    return _split(0.8 * patterns[labels] + 0.2 * noise, labels)


def run(args: argparse.Namespace) -> loop.History:
    """Train and test.

    Raises:
        TrainError: options, data or checkpoint cannot be used.
    """
    check_at_least(args, "--", T=1, channels=1, batch_size=1, epochs=1, lr=0.0)
    device = usable_device(args.device, "--device")
    train_set, test_set = _load(args)
    seed_everything(args.seed)
    net = _build_net(args).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=args.lr)
    order = torch.Generator().manual_seed(args.seed)
    folder = Path(args.output_dir)
    try:
        history = loop.fit(
            net,
            DataLoader(train_set, args.batch_size, shuffle=True, generator=order),
            DataLoader(test_set, 256),
            epochs=args.epochs,
            optimizer=optimizer,
            scheduler=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs),
            criterion=rate_loss(_CLASSES),
            device=device,
            preprocess=lambda x: _shifted(x) if net.training else x,
            log_dir=folder / "logs",
            checkpoint_dir=folder / "checkpoints",
            resume=args.resume,
            overwrite=args.clean,
            args=vars(args),
            seed=args.seed,
        )
    except RunExistsError as error:
        raise RunExistsError(
            f"{folder} holds an earlier run; use --resume latest to go on with it or --clean to "
            "replace it"
        ) from error
    if history.epochs:
        _log.info("test accuracy: %.4f", history.last["test_acc1"] / 100)
    return history


def _load(args: argparse.Namespace) -> tuple[TensorDataset, TensorDataset]:
    train_set, test_set = fake_digits() if args.fake_data else digits()
    if len(train_set) < args.batch_size:
        raise OptionError(
            f"argument --batch-size: the training set has {len(train_set)} samples, less than one "
            f"batch of {args.batch_size}"
        )
    return train_set, test_set


class _LifNet(nn.Module):
    """Pixels as constant currents into one layer of LIF neurons, whose rates are the answer."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.linear = nn.Linear(_SIDE * _SIDE, _CLASSES, bias=False)
        self.lif = neuron.LIFNode(surrogate_function=surrogate.ATan())
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        current = self.linear(x.flatten(1))
        return self.lif(current.expand(self.steps, *current.shape)).mean(0)


def _build_net(args: argparse.Namespace) -> nn.Module:
    if args.model == "lif":
        return _LifNet(args.T)
    with model_errors():
        csnn = require("sj_models.csnn", "recipes").CSNN
        return csnn(args.T, args.channels, image_size=_SIDE, num_classes=_CLASSES)


def _shifted(x: Tensor) -> Tensor:
    """Half of the batches moved by a pixel; the borders of the digits are empty."""
    if torch.rand(()) < 0.5:
        return x
    down, right = torch.randint(-1, 2, (2,)).tolist()
    return x.roll((down, right), (-2, -1))


def _split(images: Tensor, labels: Tensor) -> tuple[TensorDataset, TensorDataset]:
    draw = torch.Generator().manual_seed(0)
    kept = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(_CLASSES):
        places = (labels == label).nonzero().flatten()
        kept[places[torch.randperm(len(places), generator=draw)[::4]]] = True
    parts = [TensorDataset(images[part], labels[part]) for part in (~kept, kept)]
    return parts[0], parts[1]


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_with_fake(build_parser(), argv, {"epochs": 3, "channels": 8})
    run_command("lif_digits", lambda: run(args))


if __name__ == "__main__":
    main()
