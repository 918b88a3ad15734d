"""Pictures and outputs shown on the pages about encoders, learning rules and tools."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import torch
from sphinx.application import Sphinx
from torch import Tensor, nn

import sj_layers as layer
from sj_layers import encoding, visualizing
from sj_layers.functional import stdp_linear_step
from sj_neurons import functional, neuron

matplotlib.use("Agg")

import matplotlib.pyplot as plt

# a dependency of furo turns messages of level INFO on for all packages
logging.getLogger("matplotlib.animation").setLevel(logging.WARNING)

STEPS = 16
SMALL: dict[str, Any] = {"figsize": (4.4, 3.0), "dpi": 100}


def raster(ax: Any, spikes: Tensor, title: str, values: Tensor) -> None:
    """Spikes `[T, N]` over the value that each neuron encodes."""
    half = float(values[1] - values[0]) * 0.4
    for sign, colour in ((1, "black"), (-1, "tab:red")):
        when, who = (spikes == sign).nonzero(as_tuple=True)
        places = values[who]
        ax.vlines(when.numpy(), (places - half).numpy(), (places + half).numpy(), colour)
    ax.set(title=title, xlim=(-0.5, len(spikes) - 0.5))


def draw_encoders(file: Path) -> None:
    """What each encoder makes of the values from 0 to 1, or of a signal."""
    values = torch.linspace(0.0, 1.0 - 2.0**-8, 24)
    x_seq = values.expand(STEPS, 1, -1)
    generator = torch.Generator().manual_seed(0)
    encoders = {
        "PoissonEncoder": encoding.PoissonEncoder(step_mode="m", generator=generator),
        "LatencyEncoder, linear": encoding.LatencyEncoder(STEPS, step_mode="m"),
        "LatencyEncoder, log": encoding.LatencyEncoder(STEPS, "log", step_mode="m"),
        "WeightedPhaseEncoder, K=8": encoding.WeightedPhaseEncoder(8, step_mode="m"),
    }
    fig, axes = plt.subplots(2, 3, figsize=(10, 5.4), layout="constrained")
    for ax, (title, encoder) in zip(axes.flat, encoders.items(), strict=False):
        raster(ax, encoder(x_seq)[:, 0], title, values)
        ax.set_ylabel("value")
    draw_delta(axes[1, 1])
    draw_population(axes[1, 2])
    for ax in axes[1]:
        ax.set_xlabel("time step")
    save(fig, file)


def draw_delta(ax: Any) -> None:
    """A signal with what a receiver rebuilds from its spikes."""
    signal = torch.sin(torch.arange(3.0 * STEPS) / 7.0)
    threshold = 0.25
    spikes = encoding.DeltaEncoder(threshold, step_mode="m")(signal.unsqueeze(1))
    ax.plot(signal, label="signal")
    ax.step(range(len(signal)), signal[0] + threshold * spikes.cumsum(0)[:, 0], label="rebuilt")
    for sign, colour in ((1, "black"), (-1, "tab:red")):
        when = (spikes[:, 0] == sign).nonzero()[:, 0].numpy()
        ax.vlines(when, -1.6, -1.3, colour)
    ax.set(title="DeltaEncoder", ylim=(-1.7, 1.3), xlim=(-0.5, len(signal) - 0.5))
    ax.legend(fontsize=8)


def draw_population(ax: Any) -> None:
    """Ten neurons that share the range from -1 to 1, and the number 0.3."""
    encoder = encoding.PopSpikeEncoderDeterministic(1, 10, STEPS, mean_range=(-1.0, 1.0), std=0.3)
    with torch.no_grad():
        spikes = encoder(torch.tensor([[0.3]]))[:, 0]
    raster(ax, spikes, "PopSpikeEncoderDeterministic, 0.3", encoder.mean[0, 0].detach())
    ax.set_ylabel("centre of the neuron")


def draw_stdp(file: Path) -> None:
    """Weight change by the distance of an input spike and an output spike."""
    tau, reach = 10.0, 40
    one = torch.ones(1, 1)
    gaps = range(-reach, reach + 1)
    changes = []
    for gap in gaps:
        change, traces = torch.zeros(1, 1), (None, None)
        for t in range(reach + 1):
            pre, post = float(t == max(0, -gap)), float(t == max(0, gap))
            spikes = (pre * one, post * one)
            now, traces = stdp_linear_step(*spikes, traces, one, tau_pre=tau, tau_post=tau)
            change += now
        changes.append(change.item())
    fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
    ax.axhline(0, color="0.7", linewidth=1)
    ax.bar(gaps, changes, color=["tab:red" if c < 0 else "tab:blue" for c in changes])
    ax.set(xlabel="output spike after input spike, steps", ylabel="weight change")
    save(fig, file)


def activity() -> tuple[Tensor, Tensor]:
    """Potentials and spikes `[T, N]` of 24 neurons under noisy currents that rise with N."""
    lif = neuron.LIFNode(tau=8.0, store_v_seq=True, step_mode="m")
    currents = torch.linspace(0.6, 1.9, 24)
    noise = torch.randn(60, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        spikes = lif(currents + 0.8 * noise)
    return lif.v_seq, spikes


def draw_visualizing(folder: Path) -> None:
    """One small picture per function of `sj_layers.visualizing`."""
    v_seq, spikes = activity()
    images = torch.rand(6, 9, 9, generator=torch.Generator().manual_seed(0)) < 0.3
    pictures: dict[str, Callable[..., Any]] = {
        "raster": lambda: visualizing.plot_1d_spikes(spikes, "plot_1d_spikes", **SMALL),
        "heatmap": lambda: visualizing.plot_2d_heatmap(v_seq, "plot_2d_heatmap", **SMALL),
        "trace": lambda: visualizing.plot_one_neuron_v_s(
            v_seq[:, 12], spikes[:, 12], title="plot_one_neuron_v_s", **SMALL
        ),
        "maps": lambda: visualizing.plot_2d_feature_map(
            images, 2, 3, 1, "plot_2d_feature_map", **SMALL
        ),
        "bars": lambda: visualizing.plot_2d_bar_in_3d(
            spikes[:, ::4].unflatten(0, (6, 10)).sum(1).t(),
            "plot_2d_bar_in_3d", "10 steps", "neuron", "spikes", **SMALL,
        ),
    }  # fmt: skip
    for name, draw in pictures.items():
        save(draw()[0], folder / f"visualizing-{name}.png")
    file, title = folder / "visualizing-maps.gif", "save_spikes_to_gif"
    fig, _ = visualizing.save_spikes_to_gif(images, file, title, fps=3.0, figsize=(3, 3))
    plt.close(fig)


def printed() -> dict[str, str]:
    """What `check` and `profile` say about the net of the page."""
    torch.manual_seed(0)
    net = nn.Sequential(
        layer.Conv2d(1, 8, 3, padding=1, bias=False), layer.BatchNorm2d(8), neuron.IFNode(),
        layer.MaxPool2d(2), layer.Flatten(), layer.Linear(8 * 14 * 14, 10), neuron.IFNode(),
    )  # fmt: skip
    functional.set_step_mode(net, "m")
    x_seq = 3 * torch.rand(1, 1, 28, 28).expand(4, -1, -1, -1, -1)
    texts = {"profile": str(layer.profile(net, x_seq))}
    net[6].step_mode = "s"
    return {"check": str(layer.check(net, x_seq)), **texts}


def save(fig: Any, file: Path) -> None:
    """Write a figure with little white around it."""
    fig.savefig(file, dpi=100, bbox_inches="tight")
    plt.close(fig)


def write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "api" / "generated"
    draw_encoders(folder / "encoders.png")
    draw_stdp(folder / "stdp.png")
    draw_visualizing(folder)
    for name, text in printed().items():
        (folder / f"{name}.txt").write_text(text + "\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write, priority=600)  # after api_pages, which clears the folder
    return {"parallel_read_safe": True}
