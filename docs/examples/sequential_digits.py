"""Digits read row by row: `python docs/examples/sequential_digits.py`, half a minute on one core.

A network sees one row of 8 pixels at a time and names the digit after the last, so it has to
remember. Three networks of equal layers differ in their memory alone:

    plain              the membrane potentials of its neurons
    stateful synapse   also a current behind the hidden neurons that fades out (`SynapseFilter`)
    feedback           also the hidden spikes of the step before (`LinearRecurrentContainer`)

Nothing is downloaded: the digits come with scikit-learn.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import mse_loss, one_hot

import sj_layers as layer
from sj_neurons import functional, neuron, surrogate

HIDDEN = 32
EPOCHS, SEEDS = 60, 3
QUICK_EPOCHS, QUICK_SEEDS = 15, 1
BATCH = 256
LEARNING_RATE = 2e-2
FEEDBACK_GOAL = 0.80


# the three networks


def fire(detach_reset: bool = False) -> neuron.IFNode:
    return neuron.IFNode(surrogate_function=surrogate.ATan(), detach_reset=detach_reset)


class RowReader(nn.Module):
    """Rows `[T, N, 8]` in, firing rates `[N, 10]` out."""

    def __init__(self, *hidden: nn.Module) -> None:
        super().__init__()
        self.fc = nn.Sequential(layer.Linear(8, HIDDEN), *hidden, layer.Linear(HIDDEN, 10), fire())
        functional.set_step_mode(self, "m")
        functional.set_backend(self, "auto")  # compiled where there is a compiler

    def forward(self, x_seq: Tensor) -> Tensor:
        return self.fc(x_seq).mean(0)


def plain_net() -> RowReader:
    return RowReader(fire())


def stateful_synapse_net() -> RowReader:
    return RowReader(fire(), layer.SynapseFilter(tau=2.0, learnable=True))


def feedback_net() -> RowReader:
    return RowReader(layer.LinearRecurrentContainer(fire(detach_reset=True), HIDDEN, HIDDEN))


NETS: dict[str, Callable[[], RowReader]] = {
    "plain": plain_net,
    "stateful synapse": stateful_synapse_net,
    "feedback": feedback_net,
}


# training


@dataclass(frozen=True)
class Digits:
    """Rows of images in [0, 1] as time steps, `[T, N, 8]`, and the labels `[N]`."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor


@dataclass
class Curve:
    """Accuracies after each epoch, one list per seed."""

    train: list[list[float]] = field(default_factory=list)
    test: list[list[float]] = field(default_factory=list)

    def final(self, part: str) -> float:
        """Mean over the seeds after the last epoch."""
        return float(np.mean([accuracies[-1] for accuracies in getattr(self, part)]))


def digits() -> Digits:
    """1,797 images of 8 x 8 pixels, a quarter of them kept for the test."""
    source = load_digits()
    images = (source.images / 16.0).astype(np.float32)
    parts = train_test_split(
        images, source.target, test_size=0.25, stratify=source.target, random_state=0
    )
    train_x, test_x, train_y, test_y = map(torch.from_numpy, parts)
    return Digits(
        train_x.transpose(0, 1).contiguous(), train_y, test_x.transpose(0, 1).contiguous(), test_y
    )


def train(build: Callable[[], RowReader], data: Digits, epochs: int, seed: int, to: Curve) -> None:
    """Train one network with Adam towards rate 1 for the right digit and 0 for the others."""
    torch.manual_seed(seed)
    net = build()
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    to.train.append([])
    to.test.append([])
    for _ in range(epochs):
        for batch in torch.randperm(len(data.train_y)).split(BATCH):
            optimizer.zero_grad()
            rates = net(data.train_x[:, batch])
            mse_loss(rates, one_hot(data.train_y[batch], 10).float()).backward()
            optimizer.step()
            functional.reset_net(net)
        scheduler.step()
        to.train[-1].append(accuracy(net, data.train_x, data.train_y))
        to.test[-1].append(accuracy(net, data.test_x, data.test_y))


@torch.no_grad()
def accuracy(net: nn.Module, x_seq: Tensor, labels: Tensor) -> float:
    guesses = net(x_seq).argmax(1)
    functional.reset_net(net)
    return (guesses == labels).float().mean().item()


# what came out


def plot(curves: dict[str, Curve], data: Digits, file: Path) -> None:
    """One digit as the networks read it; accuracies as mean and range over the seeds."""
    fig, (image, *axes) = plt.subplots(
        1, 3, figsize=(10, 3.4), layout="constrained", width_ratios=(0.8, 1, 1), dpi=100
    )
    image.imshow(data.test_x[:, 0], cmap="gray")
    image.set(title="one row per time step", xlabel="input", ylabel="time step")
    for part, ax in zip(("train", "test"), axes, strict=True):
        for name, curve in curves.items():
            runs = 100 * np.array(getattr(curve, part))
            epochs = np.arange(1, runs.shape[1] + 1)
            (line,) = ax.plot(epochs, runs.mean(0), label=f"{name}, {runs[:, -1].mean():.1f} %")
            ax.fill_between(epochs, runs.min(0), runs.max(0), alpha=0.2, color=line.get_color())
        ax.set(title=part, xlabel="epoch", ylabel="accuracy (%)", ylim=(0, 100))
        ax.legend(loc="lower right")
    part_file = file.with_suffix(".part.png")
    fig.savefig(part_file)
    plt.close(fig)
    os.replace(part_file, file)


def table(curves: dict[str, Curve]) -> str:
    lines = [f"{'network':<18}{'parameters':>10}{'train':>8}{'test':>8}  test of each seed"]
    for name, curve in curves.items():
        size = sum(p.numel() for p in NETS[name]().parameters())
        each = " ".join(f"{accuracies[-1]:.3f}" for accuracies in curve.test)
        means = f"{curve.final('train'):>8.3f}{curve.final('test'):>8.3f}"
        lines.append(f"{name:<18}{size:>10,}{means}  {each}")
    return "\n".join(lines)


def missed_goals(curves: dict[str, Curve]) -> list[str]:
    plain, synapse, feedback = (curves[name].final("test") for name in NETS)
    goals = {
        f"feedback {feedback:.3f} is below {FEEDBACK_GOAL}": feedback < FEEDBACK_GOAL,
        f"stateful synapse {synapse:.3f} is not above plain {plain:.3f}": synapse <= plain,
    }
    return [text for text, missed in goals.items() if missed]


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=positive, help=f"epochs of training ({EPOCHS})")
    parser.add_argument("--seeds", type=positive, help=f"runs of each network ({SEEDS})")
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_EPOCHS} epochs of {QUICK_SEEDS} run"
    )
    parser.add_argument(
        "--out", type=Path, metavar="PNG", default=Path("sequential_digits.png"), help="picture"
    )
    args = parser.parse_args()
    if args.out.suffix != ".png":
        parser.error(f"--out {args.out} does not end in .png")
    if not args.out.parent.is_dir():
        parser.error(f"--out {args.out}: there is no folder {args.out.parent}")
    epochs, seeds = (QUICK_EPOCHS, QUICK_SEEDS) if args.quick else (EPOCHS, SEEDS)
    args.epochs, args.seeds = args.epochs or epochs, args.seeds or seeds
    return args


def main() -> int:
    args = parse_args()
    torch.set_num_threads(1)  # the networks are too small for more
    start = time.perf_counter()
    data = digits()
    curves = {name: Curve() for name in NETS}
    for name, build in NETS.items():
        for seed in range(args.seeds):
            train(build, data, args.epochs, seed, to=curves[name])
    try:
        plot(curves, data, args.out)
    except OSError as error:
        print(f"sequential_digits: {error}", file=sys.stderr)
        return 2
    print(table(curves))
    print(f"\n{args.out}, done in {time.perf_counter() - start:.0f} s")
    enough = args.epochs >= EPOCHS and args.seeds >= SEEDS
    problems = missed_goals(curves) if enough else []
    for problem in problems:
        print(f"sequential_digits: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
