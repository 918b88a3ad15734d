from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from sj_train.errors import ClassCountError, DataError, OptionError, TrainError
from sj_train.train_classify import Trainer

# The two examples of the reference's tutorial and a model for them, as a user would write it.
SCRIPT = """
import torch
from sj_neurons import neuron, surrogate
from sj_train import train_classify
from torch import nn

class SNNTrainer(train_classify.Trainer):
    def preprocess_train_sample(self, args, x):
        return x.unsqueeze(0).repeat(args.T, 1, 1, 1, 1)
    def preprocess_test_sample(self, args, x):
        return x.unsqueeze(0).repeat(args.T, 1, 1, 1, 1)
    def process_model_output(self, args, y):
        return y.mean(0)
    def get_args_parser(self, add_help=True):
        parser = super().get_args_parser()
        parser.add_argument('--T', type=int, help="total time-steps")
        parser.add_argument('--cupy', action="store_true")
        return parser
    def get_tb_logdir_name(self, args):
        return super().get_tb_logdir_name(args) + f'_T{args.T}'
    def set_optimizer(self, args, parameters):
        if args.opt.lower().startswith("adamax"):
            return torch.optim.Adamax(parameters, lr=args.lr, weight_decay=args.weight_decay)
        return super().set_optimizer(args, parameters)
    def load_model(self, args, num_classes):
        if args.model != "net":
            raise ValueError("args.model should be one of ['net']")
        return nn.Sequential(
            nn.Flatten(2), nn.Linear(192, 8),
            neuron.IFNode(step_mode="m", surrogate_function=surrogate.ATan(), detach_reset=True),
            nn.Linear(8, num_classes))

if __name__ == "__main__":
    trainer = SNNTrainer()
    args = trainer.get_args_parser().parse_args()
    trainer.main(args)
"""
scope: dict = {"__name__": "script"}
exec(compile(SCRIPT, "script", "exec"), scope)
SNNTrainer: type[Trainer] = scope["SNNTrainer"]

NAME = "net_b4_e2_sgd_lr0.1_wd0.0_ls0.1_ma0.2_ca1.0_sbn0_ra0_re0.1_aaugnone_size8_8_8_seed2020_T2"


# Hook -> its parameters, as the reference documents them.
HOOKS = {
    "get_args_parser": "add_help=True",
    "load_model": "args, num_classes",
    "load_data": "args",
    "load_ImageNet": "args",
    "load_CIFAR10": "args",
    "preprocess_train_sample": "args, x",
    "preprocess_test_sample": "args, x",
    "process_model_output": "args, y",
    "cal_acc1_acc5": "output, target",
    "set_optimizer": "args, parameters",
    "set_lr_scheduler": "args, optimizer",
    "train_one_epoch": "model, criterion, optimizer, data_loader, device, epoch, args, "
    "model_ema=None, scaler=None",
    "evaluate": "args, model, criterion, data_loader, device, log_suffix=''",
    "before_train_one_epoch": "args, model, epoch",
    "before_test_one_epoch": "args, model, epoch",
    "get_tb_logdir_name": "args",
    "compile_model": "args, model, *, enabled=None",
    "get_eval_model": "args, train_model, model_without_ddp",
    "get_data_to_device_kwargs": "args",
    "main": "args",
}


@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_have_the_documented_parameters(hook):
    signature = inspect.signature(getattr(Trainer, hook))
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    text = str(inspect.Signature(bare[1:])).strip("()")
    assert text == HOOKS[hook]


def test_hooks_without_options_change_nothing():
    trainer = Trainer()
    args = trainer.get_args_parser().parse_args([])
    x = torch.rand(2, 3, 4, 4)
    assert trainer.preprocess_train_sample(args, x) is x
    assert trainer.preprocess_test_sample(args, x) is x
    assert trainer.process_model_output(args, x) is x
    assert trainer.compile_model(args, nn.Identity()).__class__ is nn.Identity
    assert trainer.get_data_to_device_kwargs(args) == {"non_blocking": True}
    with pytest.raises(NotImplementedError):
        trainer.load_model(args, 2)


class TimeTrainer(Trainer):
    """Leaves the time axis to --T."""

    def load_model(self, args, num_classes):
        return SNNTrainer().load_model(args, num_classes)


def test_time_steps_and_spiking_options(words, tmp_path):
    """--T does what the subclass's hooks do; the other options reach model and loss."""
    whole = run(words, trainer=SNNTrainer)
    words = [w.replace(f"{tmp_path}/out", f"{tmp_path}/other") for w in words]
    assert run(words, trainer=TimeTrainer) == whole
    words = [w.replace(f"{tmp_path}/other", f"{tmp_path}/tet") for w in words]
    more = "--tet --tet-lambda 0.1 --grad-accum-steps 2 --channels-last --backend auto"
    assert run(words, *more.split(), trainer=TimeTrainer) != whole


class Backends(TimeTrainer):
    seen = ""

    def before_train_one_epoch(self, args, model, epoch):
        type(self).seen = model[2].backend


def test_the_backend_is_set(words):
    run(words, "--backend", "cpp", "--epochs", "1", trainer=Backends)
    assert Backends.seen == "cpp"
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match="--backend cupy: backend 'cupy' cannot run here"):
            run(words, "--backend", "cupy", "--clean", trainer=Backends)


def test_options_from_a_file(words, tmp_path):
    (tmp_path / "run.toml").write_text("epochs = 1\nlr = 0.01\n")
    history = run([*words, "--epochs", "2", "--config", str(tmp_path / "run.toml")])
    assert len(history) == 2
    assert (tmp_path / "out" / NAME.replace("lr0.1", "lr0.01")).is_dir()


@pytest.fixture
def words(image_root, tmp_path) -> list[str]:
    text = (
        f"--data-path {image_root} --output-dir {tmp_path}/out --model net --device cpu --T 2 "
        "-b 4 -j 0 --epochs 2 --train-crop-size 8 --val-resize-size 8 --val-crop-size 8 "
        "--auto-augment none"
    )
    return text.split()


def run(words: list[str], *more: str, trainer: type[Trainer] = SNNTrainer):
    made = trainer()
    return made.run(made.get_args_parser().parse_args([*words, *more]))


def test_a_run_writes_the_documented_files(words, tmp_path):
    history = run(words)
    assert history.epochs == [0, 1]
    out = tmp_path / "out"
    events = EventAccumulator(str(out / NAME))
    events.Reload()
    measured = {"lr", "memory_mib", "train_samples_per_s", "test_samples_per_s", "firing_rate/2"}
    assert set(events.Tags()["scalars"]) == set(history.scalars) | measured
    assert (out / NAME / "args.txt").read_text().startswith("Namespace(")
    names = {"checkpoint_latest.pth", "checkpoint_1.pth", "checkpoint_max_test_acc1.pth"}
    assert set(os.listdir(out / "pt" / NAME)) == names


def test_all_training_options_together(words):
    more = (
        "--opt adamax --lr 0.01 --norm-weight-decay 0 --model-ema --model-ema-steps 1 "
        "--lr-warmup-epochs 1 --clip-grad-norm 1 --amp-dtype bf16 --auto-augment ta_wide"
    )
    history = run(words, *more.split())
    assert {"ema_test_loss", "ema_test_acc1", "ema_test_acc5"} <= set(history.scalars)


# torch's own tracing of an autograd.Function raises it.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiled_training_equals_eager_training(words, tmp_path):
    eager = run(words)
    words = [w.replace(f"{tmp_path}/out", f"{tmp_path}/compiled") for w in words]
    compiled = run(words, "--compile", "--compile-eval", "--compile-backend", "eager")
    for tag, values in eager.scalars.items():
        assert compiled[tag] == pytest.approx(values, rel=1e-5), tag


def test_red_is_told_from_blue(words):
    more = "--epochs 12 --lr 0.05 --mixup-alpha 0 --cutmix-alpha 0 --lr-warmup-epochs 0"
    assert run(words, *more.split()).last["test_acc1"] == 100.0


def test_interrupted_run_equals_an_uninterrupted_one(words, tmp_path):
    """The first part stops in its second epoch, as by a crash."""

    class Crash(Exception):
        pass

    class CrashingTrainer(SNNTrainer):
        def before_test_one_epoch(self, args, model, epoch):
            if epoch == 1:
                raise Crash

    whole = run(words, "--model-ema", "--model-ema-steps", "2")
    again = [w.replace(f"{tmp_path}/out", f"{tmp_path}/again") for w in words]
    with pytest.raises(Crash):
        run(again, "--model-ema", "--model-ema-steps", "2", trainer=CrashingTrainer)
    resumed = run(again, "--model-ema", "--model-ema-steps", "2", "--resume", "latest")
    assert resumed == whole
    models = [
        torch.load(tmp_path / d / "pt" / NAME / "checkpoint_latest.pth", weights_only=True)
        for d in ("out", "again")
    ]
    for key in ("model", "model_ema", "optimizer", "lr_scheduler"):
        torch.testing.assert_close(models[0][key], models[1][key], rtol=0, atol=0)


def test_second_start_needs_a_decision(words, tmp_path):
    run(words)
    with pytest.raises(TrainError, match=r"--resume latest.*--clean"):
        run(words)
    (tmp_path / "out" / NAME / "old").touch()
    run(words, "--clean")
    assert not (tmp_path / "out" / NAME / "old").exists()


def test_test_only_reads_and_writes_nothing(words, tmp_path):
    history = run(words)
    checkpoint = tmp_path / "out" / "pt" / NAME / "checkpoint_latest.pth"
    before = sorted(path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*"))
    tested = run(words, "--test-only", "--resume", str(checkpoint))
    assert tested.last["test_acc1"] == history.last["test_acc1"]
    assert tested.epochs == [1]
    assert sorted(path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")) == before


def test_print_logdir(words, capsys, tmp_path):
    assert run(words, "--print-logdir") is None
    out = tmp_path / "out"
    assert capsys.readouterr().out.splitlines() == [f"{out}/{NAME}", f"{out}/pt/{NAME}"]
    assert not out.exists()


def test_loader_workers_are_used(words):
    assert len(run(words, "-j", "1", "--epochs", "1", "--persistent-workers")) == 1


def test_event_frames_with_a_time_axis_can_be_mixed(words):
    class Frames(SNNTrainer):
        def load_data(self, args):
            dataset, dataset_test, *samplers = super().load_data(args)
            for data in (dataset, dataset_test):
                spatial = data.transform
                data.transform = lambda image, f=spatial: f(image).expand(3, 3, 8, 8)
            return dataset, dataset_test, *samplers

        def preprocess_train_sample(self, args, x):
            return x.transpose(0, 1)  # [N, T, C, H, W] to [T, N, C, H, W]

        preprocess_test_sample = preprocess_train_sample

    assert len(run(words, trainer=Frames)) == 2


class Lazy(SNNTrainer):
    def load_model(self, args, num_classes):
        return nn.Sequential(nn.Flatten(2), nn.LazyLinear(num_classes))


def test_lazy_layers_are_refused(words):
    with pytest.raises(TrainError, match=r"Lazy.load_model returned a model with lazy layers"):
        run(words, trainer=Lazy)


class Unsure(SNNTrainer):
    def load_model(self, args, num_classes):
        return nn.Sequential(nn.Flatten(2), nn.Linear(192, 1))


@pytest.mark.parametrize(
    ("more", "error", "text"),
    [
        ("--data-path nowhere", TrainError, r"nowhere/train does not exist"),
        ("-b 40", DataError, r"12 samples per process, less than one batch of 40.*--batch-size"),
        ("--model vgg", OptionError, r"--model vgg: args.model should be one of"),
        ("--opt lion", RuntimeError, r"--opt: unknown optimizer 'lion'"),
        ("--lr-scheduler poly", OptionError, r"--lr-scheduler: unknown schedule 'poly'"),
        ("--resume nowhere.pth", TrainError, r"nowhere\.pth does not exist"),
        ("--test-only --resume latest", TrainError, r"no checkpoint to test in"),
        ("--ra-sampler", OptionError, r"--ra-sampler: needs several processes"),
        ("--world-size 2", OptionError, r"--world-size: 2 processes need a launcher"),
        ("--prototype", OptionError, r"--prototype: .* use --pretrained"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(words, tmp_path, more, error, text):
    with pytest.raises(error, match=text):
        run(words, *more.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mode", [None, "reduce-overhead"])
def test_compilation_without_cuda_graphs(monkeypatch, mode):
    seen = {}
    monkeypatch.setattr(torch, "compile", lambda model, **options: seen.update(options) or model)
    trainer = Trainer()
    words = ["--compile", "--compile-disable-cudagraphs"]
    args = trainer.get_args_parser().parse_args(words)
    args.compile_mode = mode
    trainer.compile_model(args, nn.Identity())
    assert seen["mode"] is None
    assert seen["options"] == {"triton.cudagraphs": False}


def test_cached_lists_of_images(words, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = run(words, "--cache-dataset")
    assert len(list((tmp_path / "cache").rglob("*.json"))) == 2
    assert run(words, "--cache-dataset", "--clean") == first


def test_too_few_model_outputs_are_named(words):
    with pytest.raises(ClassCountError, match="the targets weigh 2 classes, the model has 1"):
        run(words, trainer=Unsure)


def test_other_classes_in_the_test_set_are_named(words, image_root):
    (image_root / "val" / "red").rename(image_root / "val" / "green")
    with pytest.raises(ClassCountError, match="not in both: green, red"):
        run(words)


def test_a_checkpoint_of_another_model_is_refused(words, tmp_path):
    torch.save({"model": {"weight": torch.zeros(1)}, "epoch": 0}, tmp_path / "other.pth")
    with pytest.raises(TrainError, match=r"other.pth is of another model than Sequential: missing"):
        run(words, "--resume", str(tmp_path / "other.pth"))
    assert not (tmp_path / "out").exists()


def test_main_prints_messages_to_standard_output_only(words, capsys):
    trainer = SNNTrainer()
    trainer.main(trainer.get_args_parser().parse_args([*words, "--epochs", "1"]))
    out, err = capsys.readouterr()
    texts = ("mixed precision is off on cpu", "epoch 0 train: loss=", "samples/s", "finish time")
    for text in texts:
        assert text in out
    assert err == ""


def test_main_ends_with_status_2(words, capsys):
    trainer = SNNTrainer()
    with pytest.raises(SystemExit) as end:
        trainer.main(trainer.get_args_parser().parse_args([*words, "--opt", "lion"]))
    assert end.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_broken_image_in_a_worker_is_one_line(words, image_root, capsys):
    for path in (image_root / "train" / "blue").iterdir():
        path.write_bytes(b"x")
    trainer = SNNTrainer()
    with pytest.raises(SystemExit):
        trainer.main(trainer.get_args_parser().parse_args([*words, "-j", "1"]))
    assert re.fullmatch(r".*: error: cannot read the image .*blue.*\n", capsys.readouterr().err)


def test_the_plain_trainer_asks_for_a_model():
    command = [sys.executable, "-m", "sj_train.train_classify"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.search(r"error: .*load_model\(self, args, num_classes\)\n$", done.stderr)
