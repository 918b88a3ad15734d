"""Train: a recipe, or the Trainer subclass of a file or module."""

from __future__ import annotations

import argparse

from .targets import load_module, load_trainer, recipe_names

__all__ = ["add_arguments", "execute"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", nargs="?", help="what to run")


def execute(args: argparse.Namespace, words: list[str]) -> None:
    if args.target is None:
        print("usage: sj-train run TARGET [options of the target, -h lists them]")
        print("recipes:", ", ".join(recipe_names()))
        return
    if ":" not in args.target:
        main = getattr(load_module(args.target), "main", None)
        if callable(main):
            main(words)
            return
    trainer = load_trainer(args.target)
    trainer.main(trainer.get_args_parser().parse_args(words))
