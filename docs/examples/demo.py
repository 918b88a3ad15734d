"""The whole toolbox in three minutes: `nox -s demo`, or `python docs/examples/demo.py`.

a. trains a spiking network on real handwritten digits;
b. turns a spike-camera stream into a picture;
c. exports the trained network to NIR, reads it back and compares every spike.

Nothing is downloaded: the digits come with scikit-learn, the photograph with scikit-image.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from skimage import data
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import sj_layers as layer
import sj_nir
import sz_models
from sj_datasets import SpikeStream
from sj_datasets.spike_camera import read_gray_image, simulate_spikes
from sj_layers import visualizing
from sj_neurons import functional, neuron, surrogate
from sj_train import loop

SEED = 0
T = 4  # time steps per image
EPOCHS = 20
ACCURACY_GOAL = 0.97


class Row(NamedTuple):
    """One line of the closing table."""

    what: str
    result: str
    file: Path | str = ""


# a. a spiking network learns digits


def digits() -> tuple[TensorDataset, TensorDataset]:
    """1,797 images of 8 x 8 pixels in [0, 1], a quarter of them kept for the test."""
    source = load_digits()
    images = (source.images / 16.0).astype(np.float32)[:, None]
    parts = train_test_split(
        images, source.target, test_size=0.25, stratify=source.target, random_state=0
    )
    train_x, test_x, train_y, test_y = map(torch.from_numpy, parts)
    return TensorDataset(train_x, train_y), TensorDataset(test_x, test_y)


def spiking_cnn(channels: int = 32) -> nn.Sequential:
    """Grey values enter the first convolution; from its neurons on, everything is a spike."""

    def conv(cin: int) -> list[nn.Module]:
        return [
            layer.Conv2d(cin, channels, 3, padding=1, bias=False),
            layer.BatchNorm2d(channels),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.AvgPool2d(2),
        ]

    def linear(cin: int, cout: int) -> list[nn.Module]:
        return [layer.Linear(cin, cout), neuron.IFNode(surrogate_function=surrogate.ATan())]

    net = nn.Sequential(
        *conv(1), *conv(channels), layer.Flatten(), *linear(channels * 4, 128), *linear(128, 10)
    )
    functional.set_step_mode(net, "m")
    return net


def repeat(images: Tensor, steps: int = T) -> Tensor:
    """The same image at every step: [N, C, H, W] -> [T, N, C, H, W]."""
    return images.expand(steps, *images.shape)


def train(out: Path, train_set: TensorDataset, test_set: TensorDataset) -> tuple[nn.Module, float]:
    """Train for a fixed number of epochs; the last one counts."""
    torch.manual_seed(SEED)
    net = spiking_cnn()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    shuffled = torch.Generator().manual_seed(SEED)
    history = loop.fit(
        net,
        DataLoader(train_set, batch_size=64, shuffle=True, generator=shuffled),
        DataLoader(test_set, batch_size=len(test_set)),
        epochs=EPOCHS,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS),
        criterion=nn.CrossEntropyLoss(),
        preprocess=repeat,
        process_output=lambda spikes: spikes.mean(0),  # the firing rate is the score
        log_dir=out / "logs",
        checkpoint_dir=out / "checkpoints",
        overwrite=True,
        seed=SEED,
    )
    plot_learning_curve(history, out / "learning_curve.png")
    return net.eval(), history.last["test_acc1"] / 100


def plot_learning_curve(history: loop.History, file: Path) -> None:
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for part in ("train", "test"):
        left.plot(history.epochs, history[f"{part}_loss"], label=part)
        right.plot(history.epochs, history[f"{part}_acc1"], label=part)
    left.set(xlabel="epoch", ylabel="loss")
    right.set(xlabel="epoch", ylabel="accuracy (%)")
    right.legend()
    save(fig, file)


@torch.no_grad()
def plot_spikes(net: nn.Module, image: Tensor, label: int, out: Path) -> None:
    """What the network makes of one image: the encoder's maps, the spikes of a hidden layer."""
    maps = nn.Sequential(*list(net.children())[:3])(repeat(image[None]))[:, 0]
    functional.reset_net(net)
    fig, axes = plt.subplots(1, T + 1, figsize=(2.2 * (T + 1), 2.6), layout="constrained")
    axes[0].imshow(image[0], cmap="gray")
    axes[0].set_title(f"input: {label}")
    for t in range(T):
        grid = maps[t, :16].unflatten(0, (4, 4))
        grid = nn.functional.pad(grid, (1, 1, 1, 1), value=0.5).permute(0, 2, 1, 3).flatten(2)
        axes[t + 1].imshow(grid.flatten(0, 1), cmap="gray", vmin=0, vmax=1)
        axes[t + 1].set_title(f"encoder spikes, t={t}")
    for ax in axes:
        ax.axis("off")
    save(fig, out / "encoder.png")

    hidden = spikes_of(net, repeat(image[None], 32))[-2][:, 0]
    fig, _ = visualizing.plot_1d_spikes(
        hidden, f"hidden neurons looking at a {label}", "time step", "neuron", figsize=(8, 5)
    )
    save(fig, out / "raster.png")


# b. a spike stream becomes a picture


@dataclass
class Recording:
    """A stream, the frame to look at, spikes per frame at full brightness, the truth if known."""

    stream: SpikeStream | Tensor
    key_frame: int
    rate: float
    truth: Tensor | None


def panned_photograph(height: int = 250, width: int = 400, frames: int = 301) -> Recording:
    """A spike camera moves over a photograph, one pixel every eight frames."""
    photograph, threshold = data.camera() / 255.0, 2.0
    lefts = [60 + t // 8 for t in range(frames)]
    video = [photograph[40 : 40 + height, left : left + width] for left in lefts]
    stream = torch.from_numpy(simulate_spikes(video, threshold, rng=SEED))
    key_frame = frames // 2
    truth = torch.from_numpy(video[key_frame]).float()
    return Recording(stream, key_frame, 1 / threshold, truth)


def own_recording(args: argparse.Namespace) -> Recording:
    """The recording named on the command line."""
    stream = SpikeStream(args.spikes, args.height, args.width)
    key_frame = len(stream) // 2 if args.key_frame is None else args.key_frame
    if not 0 <= key_frame < len(stream):
        raise ValueError(f"--key-frame {key_frame} is not in 0 ... {len(stream) - 1}")
    truth = None
    if args.truth is not None:
        truth = torch.from_numpy(read_gray_image(args.truth)).float()
        if truth.shape != (args.height, args.width):
            raise ValueError(
                f"{args.truth} has {tuple(truth.shape)} pixels, the recording has "
                f"{(args.height, args.width)}"
            )
    return Recording(stream, key_frame, args.rate, truth)


def reconstruct(recording: Recording, file: Path) -> list[Row]:
    """The picture at the key frame by three methods, side by side with the truth."""
    first = (
        ("one frame of spikes", torch.as_tensor(recording.stream[recording.key_frame]))
        if recording.truth is None
        else ("truth", recording.truth)
    )
    panels, rows = [first], []
    for method, options in (
        ("tfp", {"window": 41}),
        ("tfi", {"window": 41}),
        ("gtfp", {"sigma": 5}),
    ):
        image = sz_models.reconstruct(
            recording.stream,
            method=method,
            key_frame=recording.key_frame,
            rate=recording.rate,
            **options,
        )
        title, score = method.upper(), "no truth given"
        if recording.truth is not None:
            psnr = sz_models.psnr(image, recording.truth)
            ssim = sz_models.ssim(image, recording.truth)
            score = f"{psnr:.2f} dB, SSIM {ssim:.3f}"
            title += f", {psnr:.2f} dB"
        setting = ", ".join(f"{key} {value}" for key, value in options.items())
        rows.append(Row(f"{method.upper()} ({setting})", score, file))
        panels.append((title, image))

    height, width = panels[0][1].shape
    fig, axes = plt.subplots(2, 2, figsize=(10, 10.6 * height / width), layout="constrained")
    for ax, (title, image) in zip(axes.flat, panels, strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(title)
        ax.axis("off")
    save(fig, file)
    return rows


# c. the network travels as a NIR graph


@torch.no_grad()
def exchange(net: nn.Module, images: Tensor, file: Path) -> Row:
    """Export, read back, and compare the spikes of every neuron on every test image."""
    folded = functional.fuse_conv_bn_eval_modules(net)  # NIR has no BatchNorm
    sj_nir.export_to_nir(folded, repeat(images[:2]), save_path=file, dt=1e-4)
    imported = sj_nir.import_from_nir(file, dt=1e-4, step_mode="m")
    ours, theirs = spikes_of(folded, repeat(images)), spikes_of(imported, repeat(images))
    if [s.shape for s in ours] != [s.shape for s in theirs]:
        raise RuntimeError("the imported network has other neurons than the exported one")
    different = sum(int((a != b).sum()) for a, b in zip(ours, theirs, strict=True))
    if different:
        raise RuntimeError(f"{different} spikes changed on the way through {file}")
    fired, places = sum(int(s.sum()) for s in ours), sum(s.numel() for s in ours)
    return Row("NIR round trip", f"{fired:,} spikes equal, 0 of {places:,} places differ", file)


def spikes_of(net: nn.Module, x_seq: Tensor) -> list[Tensor]:
    """The spikes of all neurons of `net` on `x_seq`, in the order of the layers."""
    seen: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda module, args, output: seen.append(output))
        for module in net.modules()
        if isinstance(module, neuron.BaseNode)
    ]
    functional.reset_net(net)
    net(x_seq)
    functional.reset_net(net)
    for hook in hooks:
        hook.remove()
    return seen


# all together


def save(fig: plt.Figure, file: Path) -> None:
    """Write a picture whole or not at all."""
    part = file.with_suffix(".part.png")
    fig.savefig(part, dpi=100)
    plt.close(fig)
    os.replace(part, file)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="output folder")
    own = parser.add_argument_group("your own spike stream instead of the simulated one")
    own.add_argument("--spikes", type=Path, metavar="FILE", help="recording (.dat)")
    own.add_argument("--height", type=int, help="rows of the recording")
    own.add_argument("--width", type=int, help="columns of the recording")
    own.add_argument("--truth", type=Path, metavar="PNG", help="image at the key frame")
    own.add_argument("--rate", type=float, help="spikes per frame at full brightness (1)")
    own.add_argument("--key-frame", type=int, metavar="K", help="frame to look at (the middle)")
    args = parser.parse_args()
    if args.spikes is None:
        for name in ("height", "width", "truth", "rate", "key_frame"):
            if getattr(args, name) is not None:
                parser.error(f"--{name.replace('_', '-')} needs --spikes FILE")
    elif args.height is None or args.width is None:
        parser.error("--spikes needs --height and --width: the file does not hold them")
    args.rate = 1.0 if args.rate is None else args.rate
    return args


def run(args: argparse.Namespace) -> list[Row]:
    out: Path = args.out
    recording = panned_photograph() if args.spikes is None else own_recording(args)
    out.mkdir(parents=True, exist_ok=True)

    print(f"a. training a spiking network on handwritten digits, {EPOCHS} epochs", flush=True)
    train_set, test_set = digits()
    net, accuracy = train(out, train_set, test_set)
    image, label = test_set[3]
    plot_spikes(net, image, int(label), out)
    print("b. turning spikes into a picture", flush=True)
    pictures = reconstruct(recording, out / "reconstruction.png")
    print("c. sending the network through NIR", flush=True)
    trip = exchange(net, test_set.tensors[0], out / "digits.nir")
    return [
        Row("test accuracy", f"{accuracy:.4f}", out / "checkpoints"),
        Row("learning curve", "", out / "learning_curve.png"),
        Row("encoder spikes", "", out / "encoder.png"),
        Row("spike raster", "", out / "raster.png"),
        Row("TensorBoard log", f"tensorboard --logdir {out / 'logs'}", out / "logs"),
        *pictures,
        trip,
    ]


def main() -> int:
    args = parse_args()
    logging.basicConfig(level=logging.WARNING)
    torch.set_num_threads(min(torch.get_num_threads(), 4))
    start = time.perf_counter()
    try:
        rows = run(args)
    except (OSError, ValueError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    width, middle = (max(len(row[i]) for row in rows) for i in (0, 1))
    print()
    for row in rows:
        print(f"{row.what:<{width}}  {row.result:<{middle}}  {row.file}")
    print(f"\ndone in {time.perf_counter() - start:.0f} s")
    accuracy = float(rows[0].result)
    if accuracy < ACCURACY_GOAL:
        print(f"demo: accuracy {accuracy} is below {ACCURACY_GOAL}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
