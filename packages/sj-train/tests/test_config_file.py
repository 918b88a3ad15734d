from __future__ import annotations

import re

import pytest

from sj_train.args import build_parser
from sj_train.config_file import read_config
from sj_train.errors import TrainError

TOML = """
model = "net"
batch-size = 8
lr = 1
weight_decay = 0.5
wd = 0.25
model-ema = true
backend = "cpp"
own = 3
"""


def parse(path, *words):
    parser = build_parser()
    parser.add_argument("--own", type=int, required=False)
    return parser.parse_args(["--config", str(path), *words])


def test_options_come_from_the_file_and_the_command_line_wins(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(TOML)
    args = parse(path, "--batch-size", "16", "--own=4")
    assert (args.model, args.batch_size, args.lr, args.own) == ("net", 16, 1.0, 4)
    assert (type(args.lr), args.weight_decay, args.model_ema, args.backend) == (
        float, 0.25, True, "cpp",
    )  # fmt: skip
    assert args.epochs == 90


def test_json_and_yaml_say_the_same(tmp_path):
    (tmp_path / "run.json").write_text('{"lr": 0.5, "resume": null}')
    (tmp_path / "run.yaml").write_text("lr: 0.5\nresume: null\n")
    assert parse(tmp_path / "run.json") == parse_renamed(tmp_path)


def parse_renamed(folder):
    args = parse(folder / "run.yaml")
    args.config = str(folder / "run.json")
    return args


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("epoch = 3", "unknown option 'epoch'; did you mean epochs"),
        ("epochs = 3.5", r"epochs must be int, got 3.5 \(float\)"),
        ("epochs = true", r"epochs must be int, got True \(bool\)"),
        ("model = 3", "model must be str, got 3"),
        ("model-ema = 1", "model-ema must be bool, got 1"),
        ('backend = "c"', r"backend must be one of \['auto', 'torch', 'cpp', 'cupy'\], got 'c'"),
        ("config = 'other.toml'", "unknown option 'config'"),
        ("epochs", "is damaged: "),
    ],
)
def test_bad_files_end_with_one_line_and_status_2(tmp_path, capsys, text, reason):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(SystemExit) as end:
        parse(path)
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(reason, error), error


def test_unreadable_files_are_named(tmp_path):
    for name, text in (("x.ini", "a = 1"), ("x.json", "[1]")):
        (tmp_path / name).write_text(text)
    for name, reason in (
        ("x.ini", "must end in"),
        ("x.json", "must hold a table"),
        ("none.toml", "does not exist"),
        (".", "cannot read"),
    ):
        with pytest.raises(TrainError, match=reason):
            read_config(tmp_path / name)
