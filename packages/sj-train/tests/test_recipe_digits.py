from __future__ import annotations

import pytest

from sj_train import load_checkpoint
from sj_train.errors import OptionError, RunExistsError
from sj_train.recipes import lif_digits


def options(out, *more: str):
    words = ["--output-dir", str(out), *more]
    return lif_digits.build_parser().parse_args(words)


@pytest.mark.parametrize("model", ["csnn", "lif"])
def test_fake_digits(tmp_path, model):
    args = options(tmp_path, "--fake-data", "--epochs", "2", "--channels", "8", "--model", model)
    history = lif_digits.run(args)
    assert history.epochs == [0, 1]
    stored = load_checkpoint(tmp_path / "checkpoints" / "checkpoint_latest.pth")
    assert stored["epoch"] == 1
    with pytest.raises(RunExistsError, match=r"--resume latest .* or --clean"):
        lif_digits.run(args)


def test_real_digits_learn_quickly(tmp_path):
    history = lif_digits.run(options(tmp_path, "--epochs", "6", "--channels", "8", "--lr", "0.01"))
    assert history.last["test_acc1"] > 80


def test_parts_are_disjoint_and_hold_every_class():
    train, test = lif_digits.fake_digits()
    assert (len(train), len(test)) == (300, 100)
    assert set(test.tensors[1].tolist()) == set(range(10))


def test_batch_larger_than_the_data(tmp_path):
    with pytest.raises(OptionError, match="less than one batch"):
        lif_digits.run(options(tmp_path, "--fake-data", "-b", "5000"))


def test_command(tmp_path, capsys):
    lif_digits.main(["--fake-data", "--epochs", "1", "--output-dir", str(tmp_path)])
    assert "test accuracy: " in capsys.readouterr().out
    lif_digits.main(["--fake", "--output-dir", str(tmp_path / "short")])  # abbreviated
    assert load_checkpoint(tmp_path / "short/checkpoints/checkpoint_latest.pth")["epoch"] == 2
    with pytest.raises(SystemExit) as stop:
        lif_digits.main(["--fake-data", "--T", "0", "--output-dir", str(tmp_path)])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "lif_digits: error: argument --T: must be at least 1, got 0\n"
