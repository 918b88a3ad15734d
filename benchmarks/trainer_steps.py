"""Passes over a few batches: written out, by the Trainer, and with SpikingJelly's layers."""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import sj_layers
from report import Row, target
from sj_neurons import functional, neuron, surrogate
from sj_train.train_classify import Trainer
from timing import rounds_of, summary
from training_nets import Library, Task

__all__ = ["measure", "targets"]

BATCHES = {"csnn": 4, "dvs_gesture_net": 2}
MOST, MOST_AIM = 1.02, 1.01
LEAST = {"csnn": (1.9, 2.2), "dvs_gesture_net": (1.35, 1.57)}  # must, aim

Run = Callable[[nn.Module, Any, DataLoader[Any]], object]


def measure(name: str, task: Task, seconds: float) -> Row:
    """Times of a pass over a few batches, and the ratios within each round.

    Two groups of rounds: the shorter a round, the less the machine changes within it.
    """
    bare, trained = ("bare", "trainer"), ("channels_last", "spikingjelly", "without neurons")
    calls = _contenders(task, BATCHES[name])
    times = rounds_of({key: calls[key] for key in bare}, seconds / 2)
    times |= rounds_of({key: calls[key] for key in trained if key in calls}, seconds / 2)
    row: Row = {"network": name, "T": task.T, "shape": list(task.shape), "batches": BATCHES[name]}
    row["ms"] = {key: summary(values).record() for key, values in times.items()}
    row["overhead"] = _ratio(times["trainer"], times["bare"])
    if "spikingjelly" in times:
        row["gain"] = _ratio(times["spikingjelly"], times["channels_last"])
        row["ceiling"] = _ratio(times["spikingjelly"], times["without neurons"])
    return row


def targets(row: Row) -> list[Row]:
    """Limits of one row; those against SpikingJelly only where it was there."""
    name, where = row["network"], "Trainer over a bare loop"
    found = [
        target("must", where, name, row["overhead"], most=MOST),
        target("aim", where, name, row["overhead"], most=MOST_AIM),
    ]
    if "gain" in row:
        must, aim = LEAST[name]
        where = "training step over SpikingJelly"
        found.append(target("must", where, name, row["gain"], least=must))
        found.append(target("aim", where, name, row["gain"], least=aim))
    return found


def _ratio(over: list[float], under: list[float]) -> float:
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return round(statistics.median(ratios), 4)


def _contenders(task: Task, batches: int) -> dict[str, Callable[[], object]]:
    ours, loader = Library(sj_layers, neuron, surrogate), _loader(task, batches)
    made = partial(_made, task, loader)
    found = {
        "bare": made(ours, functional, _bare(task, functional)),
        "trainer": made(ours, functional, _trained(task)),
        "channels_last": made(ours, functional, _trained(task, "--channels-last"), last=True),
    }
    try:
        peer = importlib.import_module("spikingjelly.activation_based")
        layer, node, grad, functions = (
            importlib.import_module(f"{peer.__name__}.{name}")
            for name in ("layer", "neuron", "surrogate", "functional")
        )
    except ImportError:
        return found
    theirs, run = Library(layer, node, grad), _bare(task, functions)
    return found | {
        "spikingjelly": made(theirs, functions, run),
        "without neurons": made(theirs, functions, run, left_out=node.BaseNode),
    }


def _made(
    task: Task,
    loader: DataLoader[Any],
    library: Library,
    functions: Any,
    run: Run,
    *,
    last: bool = False,
    left_out: type[nn.Module] | None = None,
) -> Callable[[], object]:
    torch.manual_seed(0)
    net = task.build(library)
    functions.set_step_mode(net, "m")
    if functions is functional:
        functional.set_backend(net, "auto")
    if last:
        cast("Any", net).to(memory_format=torch.channels_last)
    for path, module in list(net.named_modules()):
        if left_out is not None and isinstance(module, left_out):
            net.set_submodule(path, nn.Identity())
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    return lambda: run(net, optimizer, loader)


def _bare(task: Task, functions: Any) -> Run:
    criterion = nn.CrossEntropyLoss()

    def run(net: nn.Module, optimizer: Any, loader: DataLoader[Any]) -> None:
        net.train()
        for x, labels in loader:
            x_seq = x.expand(task.T, *x.shape) if task.is_image else x.transpose(0, 1)
            loss = criterion(net(x_seq).mean(0), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            functions.reset_net(net)

    return run


def _trained(task: Task, *words: str) -> Run:
    trainer = Trainer()
    args = trainer.get_args_parser().parse_args(["--device", "cpu", "--T", str(task.T), *words])
    criterion, device = nn.CrossEntropyLoss(), torch.device("cpu")

    def run(net: nn.Module, optimizer: Any, loader: DataLoader[Any]) -> None:
        trainer.train_one_epoch(net, criterion, optimizer, loader, device, 0, args)

    return run


def _loader(task: Task, batches: int) -> DataLoader[Any]:
    draw = torch.Generator().manual_seed(0)
    samples, *picture = task.shape
    frames = picture if task.is_image else [task.T, *picture]
    x = torch.rand(batches * samples, *frames, generator=draw)
    labels = torch.randint(task.classes, (len(x),), generator=draw)
    return DataLoader(TensorDataset(x, labels), samples)
