"""The example of a Trainer on real digits, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "digits_trainer.py"


def run_example(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE), "--output-dir", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_a_few_epochs_learn_digits_and_a_resumed_run_goes_on(tmp_path):
    options = ("--T", "2", "--channels", "16", "--figures-every", "2")
    first = run_example(tmp_path, *options, "--epochs", "2")
    assert first.returncode == 0, first.stderr
    assert run_example(tmp_path, *options, "--epochs", "3").returncode == 2
    again = run_example(tmp_path, *options, "--epochs", "3", "--resume", "latest")
    assert again.returncode == 0, again.stderr
    lines = (tmp_path / "digits_T2_seed2020" / "scalars.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert rows[-1]["test_acc1"] > 60
    assert 0 < rows[-1]["firing_rate/sn1"] < 1
    assert (tmp_path / "digits_T2_seed2020" / "spikes" / "2.png").is_file()
