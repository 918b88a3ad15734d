"""The notes on large-scale training: subclasses of the Trainer as the notes write them.

Two corrections, as the notes do not run otherwise: `return parser` in the example of a new option,
and an f-string that breaks over two lines. Their spiking ResNets are tested in sj-models.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from sj_models import spiking_resnet
from sj_neurons import functional, neuron, surrogate
from sj_train import load_checkpoint, train_classify
from sj_train.recipes.fake_pictures import write_fake_pictures

SMALL = [
    "--device", "cpu", "-j", "0", "--auto-augment", "none", "--mixup-alpha", "0",
    "--cutmix-alpha", "0", "--train-crop-size", "32", "--val-resize-size", "32",
    "--val-crop-size", "32",
]  # fmt: skip


# the optimizers of the Trainer, written out, and one more


class DefaultTrainer(train_classify.Trainer):
    def set_optimizer(self, args, parameters):
        opt_name = args.opt.lower()
        if opt_name.startswith("sgd"):
            optimizer = torch.optim.SGD(
                parameters,
                lr=args.lr,
                momentum=args.momentum,
                weight_decay=args.weight_decay,
                nesterov="nesterov" in opt_name,
            )
        elif opt_name == "rmsprop":
            optimizer = torch.optim.RMSprop(
                parameters,
                lr=args.lr,
                momentum=args.momentum,
                weight_decay=args.weight_decay,
                eps=0.0316,
                alpha=0.9,
            )
        elif opt_name == "adamw":
            optimizer = torch.optim.AdamW(parameters, lr=args.lr, weight_decay=args.weight_decay)
        else:
            raise RuntimeError(
                f"Invalid optimizer {args.opt}. Only SGD, RMSprop and AdamW are supported."
            )
        return optimizer


class AdamaxTrainer(train_classify.Trainer):
    def set_optimizer(self, args, parameters):
        opt_name = args.opt.lower()
        if opt_name.startswith("adamax"):
            optimizer = torch.optim.Adamax(parameters, lr=args.lr, weight_decay=args.weight_decay)
            return optimizer
        else:
            return super().set_optimizer(args, parameters)


@pytest.mark.parametrize("opt", ["sgd", "sgd_nesterov", "SGD", "rmsprop", "adamw"])
def test_the_optimizers_are_those_of_the_notes(opt):
    weights = [torch.nn.Parameter(torch.zeros(2))]
    args = train_classify.Trainer().get_args_parser().parse_args(["--opt", opt, "--wd", "0.1"])
    noted = DefaultTrainer().set_optimizer(args, weights)
    own = train_classify.Trainer().set_optimizer(args, weights)
    assert type(own) is type(noted)
    assert own.defaults == noted.defaults


def test_unknown_optimizers_raise_the_same_error():
    args = train_classify.Trainer().get_args_parser().parse_args(["--opt", "lion"])
    for trainer in (DefaultTrainer(), train_classify.Trainer(), AdamaxTrainer()):
        with pytest.raises(RuntimeError, match="lion"):
            trainer.set_optimizer(args, [])


def test_an_optimizer_more():
    trainer = AdamaxTrainer()
    weights = [torch.nn.Parameter(torch.zeros(2))]
    for opt, kind in (("adamax", torch.optim.Adamax), ("sgd", torch.optim.SGD)):
        args = trainer.get_args_parser().parse_args(["--opt", opt])
        assert type(trainer.set_optimizer(args, weights)) is kind


# one option more


class OptionTrainer(train_classify.Trainer):
    def get_args_parser(self, add_help=True):
        parser = super().get_args_parser()
        parser.add_argument("--do-something", type=str, help="do something")
        return parser  # was missing


def test_an_option_more(capsys):
    parser = OptionTrainer().get_args_parser()
    assert parser.parse_args(["--do-something", "now"]).do_something == "now"
    with pytest.raises(SystemExit) as end:
        parser.parse_args(["-h"])
    assert end.value.code == 0
    assert "do something" in capsys.readouterr().out


def test_a_trainer_is_called_in_three_lines(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train_classify.py", "--print-logdir", "--model", "net"])
    trainer = OptionTrainer()
    args = trainer.get_args_parser().parse_args()
    trainer.main(args)
    logs, checkpoints = capsys.readouterr().out.split()
    assert logs.startswith("logs/net_b32_e90_sgd_lr0.1_")
    assert checkpoints == logs.replace("logs/", "logs/pt/")


# ImageNet


class SResNetTrainer(train_classify.Trainer):
    def preprocess_train_sample(self, args, x: torch.Tensor):
        return x.unsqueeze(0).repeat(args.T, 1, 1, 1, 1)  # [N, C, H, W] -> [T, N, C, H, W]

    def preprocess_test_sample(self, args, x: torch.Tensor):
        return x.unsqueeze(0).repeat(args.T, 1, 1, 1, 1)  # [N, C, H, W] -> [T, N, C, H, W]

    def process_model_output(self, args, y: torch.Tensor):
        return y.mean(0)  # return firing rate

    def get_args_parser(self, add_help=True):
        parser = super().get_args_parser()
        parser.add_argument("--T", type=int, help="total time-steps")
        parser.add_argument(
            "--cupy", action="store_true", help="set the neurons to use cupy backend"
        )
        return parser

    def get_tb_logdir_name(self, args):
        return super().get_tb_logdir_name(args) + f"_T{args.T}"

    def load_model(self, args, num_classes):
        if args.model in spiking_resnet.__all__:
            model = spiking_resnet.__dict__[args.model](
                pretrained=args.pretrained,
                spiking_neuron=neuron.IFNode,
                surrogate_function=surrogate.ATan(),
                detach_reset=True,
            )
            functional.set_step_mode(model, step_mode="m")
            if args.cupy:
                functional.set_backend(model, "cupy", neuron.IFNode)

            return model
        else:
            raise ValueError(f"args.model should be one of {spiking_resnet.__all__}")


@pytest.fixture
def pictures(tmp_path) -> str:
    return str(write_fake_pictures(tmp_path / "pictures"))


def run(monkeypatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["train_imagenet_example.py", *words])
    trainer = SResNetTrainer()
    args = trainer.get_args_parser().parse_args()
    trainer.main(args)


def test_a_spiking_resnet_learns_pictures(tmp_path, monkeypatch, pictures):
    monkeypatch.chdir(tmp_path)
    line = "--T 2 --model spiking_resnet18 --batch-size 16 --lr 0.1 --lr-scheduler cosa --epochs 1"
    warm = ["--lr-warmup-epochs", "0"]
    run(monkeypatch, *line.split(), "--data-path", pictures, *SMALL, *warm)
    (latest,) = Path("logs/pt").glob("spiking_resnet18_b16_e1_sgd_lr0.1_*_T2/checkpoint_latest.pth")
    stored = load_checkpoint(latest)
    assert stored["epoch"] == 0 and stored["args"]["T"] == 2
    net = spiking_resnet.spiking_resnet18(spiking_neuron=neuron.IFNode)
    net.load_state_dict(stored["model"])


def test_a_model_that_is_none_of_them(tmp_path, monkeypatch, capsys, pictures):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, "--T", "2", "--model", "resnet18", "--data-path", pictures, *SMALL)
    assert end.value.code == 2
    assert "args.model should be one of" in capsys.readouterr().err
    assert not Path("logs").exists()
