"""The example of digits read row by row, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "sequential_digits.py"


def run_example(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_memory_helps_even_in_a_quick_run(tmp_path):
    picture = tmp_path / "curves.png"
    shown = run_example("--quick", "--out", picture)
    assert shown.returncode == 0, shown.stderr
    rows = [line.rsplit(maxsplit=4) for line in shown.stdout.splitlines()[1:4]]
    test = {name: float(mean) for name, _, _, mean, _ in rows}
    assert list(test) == ["plain", "stateful synapse", "feedback"]
    assert test["feedback"] > test["plain"] > 0.2
    assert test["feedback"] > 0.6
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [picture]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--epochs", 0), "0 is not 1 or more"),
        (("--out", "nowhere/curves.png"), "no folder nowhere"),
    ],
)
def test_bad_input_is_refused_before_any_work(arguments, message, tmp_path, forked_script):
    shown = forked_script(EXAMPLE, tmp_path, *arguments)
    assert shown.returncode == 2
    assert message in shown.stderr.splitlines()[-1]
    assert "Traceback" not in shown.stderr
    assert not list(tmp_path.iterdir())
