from __future__ import annotations

import subprocess
import sys

import pytest

from sj_train.args import build_parser, check_args, unserved_flags
from sj_train.errors import OptionError

# Option -> default, from the reference's command line.
DEFAULTS = {
    "model": "resnet18", "device": "cuda", "batch_size": 32, "epochs": 90, "workers": 16,
    "opt": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.0, "norm_weight_decay": None,
    "label_smoothing": 0.1, "mixup_alpha": 0.2, "cutmix_alpha": 1.0, "lr_scheduler": "cosa",
    "lr_warmup_epochs": 5, "lr_warmup_method": "linear", "lr_warmup_decay": 0.01,
    "lr_step_size": 30, "lr_gamma": 0.1, "output_dir": "./logs", "resume": None,
    "start_epoch": 0, "cache_dataset": False, "sync_bn": False, "test_only": False,
    "pretrained": False, "auto_augment": "ta_wide", "random_erase": 0.1, "world_size": 1,
    "dist_url": "env://", "model_ema": False, "model_ema_steps": 32, "model_ema_decay": 0.99998,
    "interpolation": "bilinear", "val_resize_size": 232, "val_crop_size": 224,
    "train_crop_size": 176, "clip_grad_norm": None, "ra_sampler": False, "ra_reps": 4,
    "prototype": False, "weights": None, "seed": 2020, "print_logdir": False, "clean": False,
    "disable_pinmemory": False, "disable_amp": False, "local_rank": None, "disable_uda": False,
    "persistent_workers": False, "prefetch_factor": 2, "compile_backend": "inductor",
    "compile_mode": None, "compile_eval": False, "compile": False,
    "config": None, "T": None, "backend": None, "amp_dtype": None, "grad_accum_steps": 1,
    "tet": False, "tet_lambda": 0.0, "channels_last": False, "figures_every": 0,
    "checkpoint_every_steps": 0,
    "compile_disable_cudagraphs": False, "execution_mode": "eager", "cuda_graph_warmup_steps": 11,
}  # fmt: skip


def parse(*words: str):
    return build_parser().parse_args(["--device", "cpu", *words])


def test_names_and_defaults():
    args = vars(build_parser().parse_args([]))
    assert {name: args[name] for name in DEFAULTS} == DEFAULTS


def test_help_shows_every_flag():
    text = build_parser().format_help()
    flags = ["--wd", "--weight-decay", "--local_rank", "--local-rank", "-b", "-j"]
    flags += [f"--{name.replace('_', '-')}" for name in DEFAULTS if name != "local_rank"]
    assert [flag for flag in flags if flag not in text] == []


def test_the_module_prints_its_options():
    command = [sys.executable, "-m", "sj_train.train_classify", "-h"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert all(
        f"--{name.replace('_', '-')}" in done.stdout for name in DEFAULTS if "rank" not in name
    )


def test_an_option_can_be_declared_again():
    parser = build_parser()
    parser.add_argument("--model", choices=["a", "b"], default="a")
    assert parser.parse_args([]).model == "a"


def test_both_spellings_of_the_local_rank():
    assert parse("--local_rank", "1").local_rank == parse("--local-rank", "1").local_rank == 1


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["--prototype", "--weights", "X"], "--prototype"),
        (["--execution-mode", "cuda_graph"], "--execution-mode cuda_graph"),
        (["--cuda-graph-warmup-steps", "3"], "--cuda-graph-warmup-steps"),
    ],
)
def test_options_that_are_not_served_say_so(words, flag):
    with pytest.raises(OptionError, match=rf"argument {flag}: not served yet in sj-train 0\.1"):
        check_args(parse(*words))
    assert flag in unserved_flags()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--weights", "X"], "--weights: needs --prototype"),
        (["--T", "0"], "--T: must be at least 1, got 0"),
        (["--tet-lambda", "0.1"], "--tet-lambda: needs --tet"),
        (["--grad-accum-steps", "0"], "--grad-accum-steps: must be at least 1"),
        (["--epochs", "0"], "--epochs: must be at least 1, got 0"),
        (["--wd", "-1"], "--wd: must be at least 0.0, got -1.0"),
        (["--lr", "nan"], "--lr: must be at least 0.0, got nan"),
        (["--random-erase", "2"], "--random-erase: must be between 0.0 and 1.0"),
        (["--clip-grad-norm", "0"], "--clip-grad-norm: needs a value above 0"),
        (["--lr-warmup-decay", "0"], "--lr-warmup-decay: needs a value above 0"),
        (["--amp-dtype", "fp16"], "--amp-dtype: fp16 needs a GPU; use bf16"),
        (["--clean", "--resume", "latest"], "--clean: would delete the checkpoint"),
        (["--clean", "--test-only"], "--clean: --test-only writes nothing"),
    ],
)
def test_values_that_cannot_work_are_named(words, text):
    with pytest.raises(OptionError, match=f"argument {text}"):
        check_args(parse(*words))
