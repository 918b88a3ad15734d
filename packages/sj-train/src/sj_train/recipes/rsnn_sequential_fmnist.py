"""Fashion-MNIST read column by column: do feedback and stateful synapses help to remember?

python -m sj_train.recipes.rsnn_sequential_fmnist -model fb -b 256 -opt sgd -data-dir ./data
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from torch import Tensor, nn

from sj_neurons import functional, neuron

from ..extras import require
from ..one_line_parser import OneLineParser
from .command import model_errors, parse_with_fake, run_command
from .conv_fashion_mnist import fashion_mnist
from .rate_training import FAKE_DEFAULTS, RateTask, add_flags, check_flags, train_rates

__all__ = ["build_parser", "columns", "main", "run"]

_NETS = {"plain": "PlainNet", "ss": "StatefulSynapseNet", "fb": "FeedBackNet"}


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="rsnn_sequential_fmnist",
        description="Classify sequential Fashion-MNIST",
        allow_abbrev=False,
    )
    parser.add_argument(
        "-model",
        default="plain",
        choices=list(_NETS),
        help="plain, ss for stateful synapses, fb for feedback (default: plain)",
    )
    parser.add_argument("-b", default=128, type=int, help="batch size (default: 128)")
    add_flags(parser)
    return parser


def columns(images: Tensor) -> Tensor:
    """Images ``[N, 1, H, W]`` as W steps of a column each: ``[W, N, H]``."""
    return images.squeeze(1).permute(2, 0, 1)


def run(args: argparse.Namespace) -> None:
    """Train and test.

    Raises:
        TrainError: options, data or checkpoint cannot be used.
    """
    check_flags(args)
    nets = require("sj_models.sequential_nets", "recipes")

    def build_net() -> nn.Module:
        with model_errors():
            net = getattr(nets, _NETS[args.model])()
            functional.set_step_mode(net, "m")
            if args.cupy:
                functional.set_backend(net, "cupy", instance=neuron.IFNode)
        return net

    train_set, test_set = fashion_mnist(args)
    name = f"{args.model}_b{args.b}_{args.opt}_lr{args.lr}"
    train_rates(args, RateTask(build_net, train_set, test_set, 10, name, columns))


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_with_fake(build_parser(), argv, FAKE_DEFAULTS)
    run_command("rsnn_sequential_fmnist", lambda: run(args))


if __name__ == "__main__":
    main()
