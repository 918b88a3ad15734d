"""Scores of a checkpoint on the test data, as one JSON object."""

from __future__ import annotations

import argparse
import json

from ..checkpoint import read_checkpoint
from .targets import load_trainer, stored_args

__all__ = ["add_arguments", "execute"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help="the Trainer that wrote the checkpoint")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="its options hold unless given")


def execute(args: argparse.Namespace, words: list[str]) -> None:
    trainer = load_trainer(args.target)
    content = read_checkpoint(args.checkpoint)
    options = stored_args(trainer, content.get("args"), words)
    options.test_only, options.resume = True, args.checkpoint
    history = trainer.run(options)
    if history is not None:
        print(json.dumps({"epoch": history.epochs[-1]} | history.last))
