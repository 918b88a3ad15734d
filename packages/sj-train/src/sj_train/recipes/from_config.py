"""Trains the task model of a config file.

    python -m sj_train.recipes.from_config configs/cifar10_resnet18.yaml --data-path ./data \
        --set model.backbone.depth=34 training.epochs=100

Keys of the file: ``model``, ``input_shape`` (``[C, H, W]`` or ``[T, C, H, W]``), ``data`` (see
``task_data``), ``training: {epochs, batch_size, optimizer: {type, lr, ...}}``.  Files lie in
``<output-dir>/<stem of the file>``: ``config.yaml``, logs and checkpoints (see ``task_training``).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ClassCountError, OptionError
from ..extras import require
from ..one_line_parser import OneLineParser
from ..seeding import seed_everything
from .command import (
    add_fake_data,
    check_at_least,
    default_device,
    model_errors,
    parse_with_fake,
    run_command,
    usable_device,
)
from .script_run import ScriptRun
from .task_data import fake_samples, named_sets
from .task_training import task_loaders, task_run, train_task

__all__ = ["add_task_flags", "build_parser", "main", "prepare", "run", "task_settings"]

FAKE_DEFAULTS: dict[str, Any] = {"device": default_device(), "workers": 0}
_FAKE_TRAINING = {"epochs": 2, "batch_size": 8}  # in place of what the file says


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="from_config", description="Train the model of a config")
    parser.add_argument("config", help="a .yaml or .json file")
    add_task_flags(parser)
    return parser


def add_task_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--set", dest="overrides", metavar="KEY=VALUE", nargs="+", action="extend", default=[],
        help="a.b=1 changes, +a.b=1 adds, ~a.b removes")  # fmt: skip
    add("--data-path", help="folder of the data set, in place of the config's")
    add("--device", default="cuda", help="device (default: cuda)")
    add("-b", "--batch-size", type=int, help="in place of the config's")
    add("--epochs", type=int, help="in place of the config's")
    add("-j", "--workers", default=4, type=int, help="data loading workers (default: 4)")
    add("--output-dir", default="./logs", help="folder for logs and checkpoints")
    add("--resume", help="checkpoint to go on from")
    add("--clean", action="store_true", help="replace an earlier run of this config")
    add("--seed", default=2020, type=int, help="random seed (default: 2020)")
    add_fake_data(parser)


def task_settings(args: argparse.Namespace, config: dict[str, Any]) -> tuple[int, int]:
    """Epochs and batch size: those of the command line, else of the config.

    With ``--fake-data`` small ones stand for those of the file, not for those of ``--set``.

    Raises:
        OptionError: less than 1.
    """
    training = {"epochs": 100, "batch_size": 64} | config.get("training", {})
    if args.fake_data:
        given = {text.lstrip("+").partition("=")[0] for text in args.overrides}
        training |= {k: v for k, v in _FAKE_TRAINING.items() if f"training.{k}" not in given}
    for name in _FAKE_TRAINING:
        if getattr(args, name) is None:
            setattr(args, name, training[name])
    check_at_least(args, "--", epochs=1, batch_size=1, workers=0)
    return args.epochs, args.batch_size


def prepare(args: argparse.Namespace, config: dict[str, Any]) -> tuple[ScriptRun, Any]:
    """Model, optimizer and loaders of a config, resumed if asked for; writes nothing.

    Raises:
        TrainError: the config, options, data or checkpoint cannot be used.
    """
    epochs, batch_size = task_settings(args, config)
    device = usable_device(args.device, "--device")
    if "model" not in config:
        raise OptionError("the config has no key 'model'")
    seed_everything(args.seed)
    with model_errors():
        model = require("sj_models.build", "recipes").build(config).to(device)
    if not hasattr(model, "train_step"):
        raise OptionError(
            f"{type(model).__name__} is no task model; put it into one, such as ImageClassifier"
        )
    classes = getattr(getattr(model, "head", None), "num_classes", None)
    data = task_loaders(args, _sets(args, config, classes), batch_size)
    run = task_run(model, config.get("training", {}).get("optimizer", {}), epochs, data)
    if args.resume:
        run.resume(Path(args.resume))
    return run, data


def _sets(args: argparse.Namespace, config: dict[str, Any], classes: int | None) -> tuple[Any, Any]:
    if args.fake_data:
        return fake_samples(tuple(config.get("input_shape", (3, 32, 32))), classes or 10)
    if "data" not in config:
        raise OptionError(
            "the config has no key 'data': add one, such as --set '+data.type=CIFAR10', and "
            "--data-path"
        )
    sets = named_sets(config["data"], args.data_path)
    found = len(sets[0].classes)
    if classes is not None and found != classes:
        raise ClassCountError(f"the data have {found} classes, the head of the model {classes}")
    return sets


def run(args: argparse.Namespace) -> ScriptRun:
    """Train, and test after each epoch.

    Raises:
        TrainError: the config, options, data or checkpoint cannot be used.
    """
    tools = require("sj_models.config", "recipes")
    with model_errors():
        config = tools.load_config(args.config, args.overrides)
    script, data = prepare(args, config)
    folder = Path(args.output_dir) / Path(args.config).stem
    train_task(
        args, script, data, folder, epochs=args.epochs,
        after_epoch=lambda _: tools.dump_config(config, folder / "config.yaml"),
    )  # fmt: skip
    return script


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_with_fake(build_parser(), argv, FAKE_DEFAULTS)
    run_command("from_config", lambda: run(args))


if __name__ == "__main__":
    main()
