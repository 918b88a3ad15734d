"""A spiking ResNet learns ImageNet, or any folder of pictures.

python -m sj_train.recipes.train_imagenet_example --T 4 --model spiking_resnet18 \
    --data-path /datasets/ImageNet --batch-size 64 --lr 0.1 --lr-scheduler cosa --epochs 90

Several GPUs or processes: the same after ``torchrun --nproc_per_node=2 -m``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from sj_neurons import functional, neuron, surrogate

from ..errors import OptionError
from ..extras import require
from ..train_classify import Data, Trainer
from .command import add_fake_data, default_device, fake_folder, model_errors, parse_with_fake
from .fake_pictures import write_fake_pictures

__all__ = ["SResNetTrainer", "main"]

_FAKE_DEFAULTS: dict[str, Any] = {
    "model": "spiking_resnet18", "T": 2, "device": default_device(), "epochs": 2,
    "batch_size": 4, "workers": 0, "lr": 0.01, "lr_warmup_epochs": 0, "train_crop_size": 32,
    "val_resize_size": 32, "val_crop_size": 32,
}  # fmt: skip


class SResNetTrainer(Trainer):
    """Trains the networks of :mod:`sj_models.spiking_resnet` on repeated pictures."""

    def preprocess_train_sample(self, args: argparse.Namespace, x: Tensor) -> Tensor:
        return x.unsqueeze(0).expand(args.T, *x.shape)  # [N, C, H, W] -> [T, N, C, H, W]

    def preprocess_test_sample(self, args: argparse.Namespace, x: Tensor) -> Tensor:
        return self.preprocess_train_sample(args, x)

    def process_model_output(self, args: argparse.Namespace, y: Tensor) -> Tensor:
        return y.mean(0)  # firing rate

    def get_args_parser(self, add_help: bool = True) -> argparse.ArgumentParser:
        parser = super().get_args_parser(add_help)
        parser.add_argument("--T", type=int, help="total time-steps")
        parser.add_argument("--cupy", action="store_true", help="run neurons on the cupy backend")
        add_fake_data(parser)
        return parser

    def get_tb_logdir_name(self, args: argparse.Namespace) -> str:
        return super().get_tb_logdir_name(args) + f"_T{args.T}"

    def load_data(self, args: argparse.Namespace) -> Data:
        if args.fake_data:
            args.data_path = str(write_fake_pictures(fake_folder(args.output_dir, "pictures")))
        return super().load_data(args)

    def load_model(self, args: argparse.Namespace, num_classes: int) -> nn.Module:
        if args.T is None or args.T < 1:
            raise OptionError(f"argument --T: needs at least 1 time step, got {args.T}")
        zoo = require("sj_models.spiking_resnet", "recipes")
        names = [name for name in zoo.__all__ if name.startswith("spiking_")]
        if args.model not in names:
            raise OptionError(
                f"argument --model: unknown model {args.model!r}; known are {', '.join(names)}"
            )
        with model_errors():
            model = getattr(zoo, args.model)(
                pretrained=args.pretrained, num_classes=num_classes,
                spiking_neuron=neuron.IFNode, surrogate_function=surrogate.ATan(),
                detach_reset=True,
            )  # fmt: skip
            functional.set_step_mode(model, "m")
            if args.cupy:
                functional.set_backend(model, "cupy", neuron.IFNode)
        return model


def main(argv: Sequence[str] | None = None) -> None:
    trainer = SResNetTrainer()
    trainer.main(parse_with_fake(trainer.get_args_parser(), argv, _FAKE_DEFAULTS))


if __name__ == "__main__":
    main()
