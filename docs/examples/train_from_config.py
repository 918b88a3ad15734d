"""Train the model of a config: `python docs/examples/train_from_config.py CONFIG`.

    packages/sj-models/configs/cifar10_spiking_resnet18.yaml --epochs 3 --set model.encoder.T=2

The config says what to build (`model`) and how to train it (`training`: epochs, batch_size and an
optimizer of torch). The images are the digits of scikit-learn, enlarged to `input_shape`, or those
of `--data`: an .npz file with `x`, uint8 `[N, C, H, W]`, and `y`, labels `[N]`. A tenth is kept for
the test: accuracy of classifiers, hit rate of retrievers, the loss of masked autoencoders.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from sj_models.build import build
from sj_models.config import load_config
from sj_models.ranking_metrics import hit_rate
from sj_models.tasks import ImageClassifier, ImageToImageRetriever


class Images(NamedTuple):
    """Pixels `[N, C, H, W]` from 0 to 255, and labels `[N]`."""

    x: Tensor
    y: Tensor

    def part(self, rows: Any) -> Images:
        return Images(self.x[rows], self.y[rows])


def images(file: Path | None, shape: tuple[int, ...]) -> Images:
    """The images of a file, or the digits in the size that the model wants."""
    if file is not None:
        with np.load(file) as arrays:
            return Images(torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"]).long())
    from sklearn.datasets import load_digits

    source = load_digits()
    grey = torch.from_numpy(source.images).float()[:, None] * (255 / 16)
    x = interpolate(grey, size=shape[1:], mode="bilinear").expand(-1, shape[0], -1, -1)
    return Images(x.round().byte(), torch.from_numpy(source.target).long())


def optimizer_of(model: nn.Module, cfg: Mapping[str, Any]) -> torch.optim.Optimizer:
    """An optimizer of torch by the name of its class."""
    arguments = dict(cfg)
    kind = getattr(torch.optim, arguments.pop("type"))
    return kind(model.parameters(), **arguments)


def train(model: Any, data: Images, cfg: Mapping[str, Any]) -> None:
    """Epochs over shuffled batches; the learning rate falls along a cosine to 0."""
    optimizer = optimizer_of(model, cfg["optimizer"])
    batches = -(-len(data.y) // cfg["batch_size"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, cfg["epochs"] * batches)
    for epoch in range(1, cfg["epochs"] + 1):
        start, losses = time.perf_counter(), []
        model.train()
        for rows in torch.randperm(len(data.y)).split(cfg["batch_size"]):
            total, log = model.train_step(tuple(data.part(rows)))
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(log["loss"]))
        seconds = time.perf_counter() - start
        print(f"epoch {epoch:3d}  loss {np.mean(losses):.4f}  {seconds:.1f} s", flush=True)


@torch.no_grad()
def result(model: Any, gallery: Images, test: Images) -> str:
    """What the model can do after training."""
    model.eval()
    if isinstance(model, ImageClassifier):
        right = [
            model.val_step(part.x)["pred_label"] == part.y
            for part in map(test.part, torch.arange(len(test.y)).split(100))
        ]
        return f"accuracy {100 * torch.cat(right).float().mean():.1f} %"
    if isinstance(model, ImageToImageRetriever):
        model.set_prototype([gallery.x[rows] for rows in torch.arange(len(gallery.y)).split(100)])
        score = model.val_step(test.x)["pred_score"]
        rate = hit_rate(score, test.y[:, None] == gallery.y[None], topk=1)[1]
        return f"first hit shows the same digit: {rate:.1f} %"
    return f"loss {float(model.train_step(tuple(test))[1]['loss']):.4f}"


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="a file of packages/sj-models/configs")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--data", type=Path, metavar="NPZ", help="images x and labels y")
    parser.add_argument("--epochs", type=int, help="instead of training.epochs")
    parser.add_argument("--limit", type=int, help="use the first images only")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    overrides = list(args.overrides)
    if args.epochs is not None:
        overrides.append(f"training.epochs={args.epochs}")
    try:
        cfg = load_config(args.config, overrides)
        torch.manual_seed(args.seed)
        model = build(cfg)
        data = images(args.data, tuple(cfg["input_shape"])).part(slice(args.limit))
    except (OSError, ValueError, TypeError, KeyError) as error:
        print(f"train_from_config: {error}", file=sys.stderr)
        return 2
    order = torch.randperm(len(data.y))
    held_back = max(len(order) // 10, 1)
    test, training = data.part(order[:held_back]), data.part(order[held_back:])
    train(model, training, cfg["training"])
    print(result(model, training, test))
    return 0


if __name__ == "__main__":
    sys.exit(main())
