from __future__ import annotations

import argparse
import re
import subprocess
import sys
from typing import Any

import pytest

from sj_train.args import build_parser
from sj_train.errors import OptionError
from sj_train.option_checks import check_args

# Flags that the tutorial's help text prints, and where it names no default the reference's.
# Switches have the type None.
PRINTED: dict[str, tuple[type | None, Any]] = {
    "--data-path": (str, "./data"), "--model": (str, "resnet18"), "--device": (str, "cuda"),
    "-b": (int, 32), "--batch-size": (int, 32), "--epochs": (int, 90), "-j": (int, 16),
    "--workers": (int, 16), "--opt": (str, "sgd"), "--lr": (float, 0.1),
    "--momentum": (float, 0.9), "--wd": (float, 0.0), "--weight-decay": (float, 0.0),
    "--norm-weight-decay": (float, None), "--label-smoothing": (float, 0.1),
    "--mixup-alpha": (float, 0.2), "--cutmix-alpha": (float, 1.0),
    "--lr-scheduler": (str, "cosa"), "--lr-warmup-epochs": (int, 5),
    "--lr-warmup-method": (str, "linear"), "--lr-warmup-decay": (float, 0.01),
    "--lr-step-size": (int, 30), "--lr-gamma": (float, 0.1), "--output-dir": (str, "./logs"),
    "--resume": (str, None), "--start-epoch": (int, 0), "--cache-dataset": (None, False),
    "--sync-bn": (None, False), "--test-only": (None, False), "--pretrained": (None, False),
    "--auto-augment": (str, "ta_wide"), "--random-erase": (float, 0.1), "--world-size": (int, 1),
    "--dist-url": (str, "env://"), "--model-ema": (None, False), "--model-ema-steps": (int, 32),
    "--model-ema-decay": (float, 0.99998), "--interpolation": (str, "bilinear"),
    "--val-resize-size": (int, 232), "--val-crop-size": (int, 224),
    "--train-crop-size": (int, 176), "--clip-grad-norm": (float, None),
    "--ra-sampler": (None, False), "--ra-reps": (int, 4), "--prototype": (None, False),
    "--weights": (str, None), "--seed": (int, 2020), "--print-logdir": (None, False),
    "--clean": (None, False), "--disable-pinmemory": (None, False),
    "--disable-amp": (None, False), "--local_rank": (int, None), "--disable-uda": (None, False),
}  # fmt: skip
# What later versions of the reference add, and what only this package has.
ADDED: dict[str, tuple[type | None, Any]] = {
    "--persistent-workers": (None, False), "--prefetch-factor": (int, 2),
    "--compile-backend": (str, "inductor"), "--compile-mode": (str, None),
    "--compile-eval": (None, False), "--compile": (None, False),
    "--compile-disable-cudagraphs": (None, False), "--execution-mode": (str, "eager"),
    "--cuda-graph-warmup-steps": (int, 11), "--local-rank": (int, None),
    "--config": (str, None), "--T": (int, None), "--backend": (str, None),
    "--amp-dtype": (str, None), "--grad-accum-steps": (int, 1), "--tet": (None, False),
    "--tet-lambda": (float, 0.0), "--channels-last": (None, False), "--figures-every": (int, 0),
    "--checkpoint-every-steps": (int, 0), "--eventmix-alpha": (float, 0.0),
    "--time-chunk": (int, None), "--tbptt": (int, None), "--checkpoint-blocks": (None, False),
}  # fmt: skip
FLAGS = PRINTED | ADDED


def parse(*words: str):
    return build_parser().parse_args(["--device", "cpu", *words])


@pytest.mark.parametrize("flag", FLAGS)
def test_type_and_default(flag):
    kind, default = FLAGS[flag]
    action = build_parser()._option_string_actions[flag]
    assert action.default == default and type(action.default) is type(default)
    if kind is None:
        assert isinstance(action, argparse._StoreTrueAction)
    else:
        assert (action.type or str) is kind


def test_execution_modes():
    action = build_parser()._option_string_actions["--execution-mode"]
    assert action.choices == ["eager", "compile", "cuda_graph"]


def test_the_module_prints_every_flag():
    command = [sys.executable, "-m", "sj_train.train_classify", "-h"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    printed = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", done.stdout))
    assert printed >= FLAGS.keys()


def test_an_option_can_be_declared_again():
    parser = build_parser()
    parser.add_argument("--model", choices=["a", "b"], default="a")
    assert parser.parse_args([]).model == "a"


def test_both_spellings_of_the_local_rank():
    assert parse("--local_rank", "1").local_rank == parse("--local-rank", "1").local_rank == 1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--weights", "X"], "--weights: needs --prototype"),
        (["--prototype"], "--prototype: .* use --pretrained .* or --resume FILE"),
        (["--prototype", "--weights", "X"], "--weights: .* use --pretrained .* or --resume FILE"),
        (["--execution-mode", "cuda_graph"], "--execution-mode: cuda_graph needs a GPU; use eager"),
        (["--cuda-graph-warmup-steps", "-1"], "--cuda-graph-warmup-steps: must be at least 0"),
        (["--eventmix-alpha", "-1"], "--eventmix-alpha: must be at least 0"),
        (["--time-chunk", "2", "--tbptt", "2"], "--time-chunk: cannot be combined with --tbptt"),
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


@pytest.mark.parametrize(
    ("words", "other"),
    [(["--compile"], "--compile"), (["--grad-accum-steps", "2"], "--grad-accum-steps")],
)
def test_cuda_graphs_with_other_options(words, other):
    args = build_parser().parse_args(["--execution-mode", "cuda_graph", *words])
    with pytest.raises(OptionError, match=f"--execution-mode: .* cannot be combined with {other}"):
        check_args(args)
