"""The Trainer on real handwritten digits: hooks give data and network, options do the rest.

    python docs/examples/digits_trainer.py --figures-every 5
    python docs/examples/digits_trainer.py --T 8 --figures-every 5
    tensorboard --logdir logs

A run takes half a minute on one core and ends above 0.98. Pictures of the spikes need matplotlib.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import nn
from torch.utils.data import RandomSampler, SequentialSampler

from sj_layers import AvgPool2d, BatchNorm2d, Conv2d, Flatten, Linear
from sj_neurons import functional, neuron, surrogate
from sj_train import train_classify
from sj_train.recipes.lif_digits import digits

DEFAULTS: dict[str, Any] = {
    "model": "digits", "T": 4, "device": "cpu", "epochs": 20, "batch_size": 64, "workers": 0,
    "opt": "adamw", "lr": 4e-3, "lr_warmup_epochs": 0, "mixup_alpha": 0.0, "cutmix_alpha": 0.0,
    "label_smoothing": 0.0,
}  # fmt: skip


class DigitsTrainer(train_classify.Trainer):
    def get_args_parser(self, add_help: bool = True) -> argparse.ArgumentParser:
        parser = super().get_args_parser(add_help)
        parser.add_argument("--channels", type=int, default=32, help="channels (default: 32)")
        parser.set_defaults(**DEFAULTS)
        return parser

    def load_data(self, args: argparse.Namespace) -> Any:
        train, test = digits()  # images [1, 8, 8] in 0..1
        for part in (train, test):
            part.classes = tuple(range(10))
        order = torch.Generator().manual_seed(args.seed)
        return train, test, RandomSampler(train, generator=order), SequentialSampler(test)

    def load_model(self, args: argparse.Namespace, num_classes: int) -> nn.Module:
        net = nn.Sequential()  # the log names firing rates by layer
        for block, inputs in enumerate((1, args.channels), start=1):
            net.add_module(f"conv{block}", Conv2d(inputs, args.channels, 3, padding=1, bias=False))
            net.add_module(f"bn{block}", BatchNorm2d(args.channels))
            net.add_module(f"sn{block}", neuron.IFNode(surrogate_function=surrogate.ATan()))
            net.add_module(f"pool{block}", AvgPool2d(2))
        net.add_module("flat", Flatten())
        net.add_module("fc", Linear(args.channels * 4, num_classes))
        functional.set_step_mode(net, "m")
        return net

    def get_tb_logdir_name(self, args: argparse.Namespace) -> str:
        return f"{args.model}_T{args.T}_seed{args.seed}"


if __name__ == "__main__":
    trainer = DigitsTrainer()
    trainer.main(trainer.get_args_parser().parse_args())
