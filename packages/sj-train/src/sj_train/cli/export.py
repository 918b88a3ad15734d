"""A trained network as NIR, torch.export or ONNX file."""

from __future__ import annotations

import argparse
import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sj_neurons import functional

from .. import files
from ..checkpoint import load_checkpoint
from ..errors import CheckpointError, OptionError, OutputError, TrainError
from ..extras import require
from ..resume import check_fits
from .targets import load_trainer, stored_args

__all__ = ["ExportError", "add_arguments", "execute"]

SUFFIXES = {"nir": ".nir", "torch": ".pt2", "onnx": ".onnx"}


class ExportError(TrainError, RuntimeError):
    """The format cannot express the network."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("target", metavar="TARGET", help="the Trainer that wrote the checkpoint")
    add("checkpoint", metavar="CHECKPOINT", help="its options hold unless given")
    add("--format", required=True, choices=list(SUFFIXES), help="torch is a torch.export file")
    add(
        "--shape",
        required=True,
        help="input of the model: [T,]N,C,H,W as numbers with commas, e.g. 4,1,3,32,32",
    )
    add("--output", help="file to write (default: the checkpoint's name with another ending)")
    add("--classes", type=int, help="outputs (default: those of the checkpoint's last layer)")
    add("--dt", type=float, default=1e-4, help="seconds per step, for nir (default: 0.0001)")
    add("--ema", action="store_true", help="the averaged weights")


def execute(args: argparse.Namespace, words: list[str]) -> None:
    shape = _shape(args.shape)
    output = Path(args.output or Path(args.checkpoint).with_suffix(SUFFIXES[args.format]))
    if not output.parent.is_dir():
        raise OutputError(f"the folder {output.parent} does not exist")
    trainer = load_trainer(args.target)
    content = load_checkpoint(args.checkpoint)
    weights = _weights(content, args.checkpoint, averaged=args.ema)
    options = stored_args(trainer, content.get("args"), words)
    classes = args.classes or _last_size(weights)
    model = trainer.load_model(options, classes)
    check_fits(model, weights, Path(args.checkpoint))
    model.load_state_dict(weights)
    model.eval()
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    _run(model, x)
    write: dict[str, Callable[[], None]] = {
        "nir": lambda: _write_nir(model, x, output, args.dt),
        "torch": lambda: _write_torch(model, x, output),
        "onnx": lambda: _write_onnx(model, x, output),
    }
    write[args.format]()
    print(output)


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(part) for part in text.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise OptionError(f"argument --shape: needs numbers with commas, e.g. 4,1,3,32,32: {text}")
    return shape


def _weights(content: dict[str, Any], path: str, *, averaged: bool) -> dict[str, Tensor]:
    if not averaged:
        return dict(content["model"])
    if "model_ema" not in content:
        raise CheckpointError(f"checkpoint {path} holds no averaged model; leave --ema out")
    prefix = "module."
    average = content["model_ema"].items()
    return {name.removeprefix(prefix): v for name, v in average if name.startswith(prefix)}


def _last_size(weights: dict[str, Tensor]) -> int:
    """Rows of the last weights; single numbers, such as a learnt time constant, are passed over."""
    sizes = [int(value.shape[0]) for value in weights.values() if value.ndim]
    if not sizes:
        raise OptionError("argument --classes: is required, the checkpoint has no layer's weights")
    return sizes[-1]


def _run(model: nn.Module, x: Tensor) -> Tensor:
    """The model's output from reset states."""
    try:
        with torch.no_grad():
            return model(x)
    except (RuntimeError, ValueError, IndexError) as error:
        raise OptionError(
            f"argument --shape: the model does not take {tuple(x.shape)}: {_first_line(error)}"
        ) from error
    finally:
        functional.reset_net(model)


def _write_nir(model: nn.Module, x: Tensor, output: Path, dt: float) -> None:
    export = require("sj_nir", "nir").export_to_nir
    try:
        export(model, x, output, dt)
    except (ValueError, RuntimeError, NotImplementedError, TypeError) as error:
        raise ExportError(f"NIR cannot express the network: {error}") from error


def _write_torch(model: nn.Module, x: Tensor, output: Path) -> None:
    expected = _run(model, x)
    buffer = io.BytesIO()
    try:
        with _silence():
            program = torch.export.export(model, (x,))
            torch.export.save(program, buffer)
    except Exception as error:  # torch.export raises errors of many kinds
        raise ExportError(
            f"torch.export cannot follow the network: {_first_line(error)}"
        ) from error
    if not torch.allclose(program.module()(x), expected, rtol=1e-4, atol=1e-5):
        raise ExportError("torch.export gives other outputs than the network; nothing was written")
    files.write_atomic(output, lambda file: file.write(buffer.getvalue()))


def _write_onnx(model: nn.Module, x: Tensor, output: Path) -> None:
    require("onnxscript", "onnx")
    buffer = io.BytesIO()
    try:
        with _silence():
            program = torch.onnx.export(model, (x,), dynamo=True, verbose=False)
            if program is None:
                raise RuntimeError("torch.onnx gave no program")
            buffer.write(program.model_proto.SerializeToString())
    except Exception as error:  # torch.onnx raises errors of many kinds
        cause: BaseException = error
        while cause.__cause__ is not None:  # the first line of the outer ones is advice
            cause = cause.__cause__
        raise ExportError(f"ONNX cannot express the network: {_first_line(cause)}") from error
    files.write_atomic(output, lambda file: file.write(buffer.getvalue()))


@contextmanager
def _silence() -> Iterator[None]:
    """Without torch's warnings, log lines and graphs; its errors say what is wrong."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _first_line(error: BaseException) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
