"""The example of a network through a NIR file, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "nir_round_trip.py"


def run_example(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_nothing_differs_after_the_file(tmp_path: Path):
    shown = run_example(tmp_path / "net.nir")
    assert shown.returncode == 0, shown.stderr
    rows = {line.split()[0]: line for line in shown.stdout.splitlines()}
    assert " 0 differ" in rows["spikes"] and not rows["spikes"].startswith("spikes  0,")
    assert "equal" in rows["graph"] and "equal" in rows["import"]
    assert (tmp_path / "net.nir").stat().st_size > 0


def test_a_missing_folder_is_refused(tmp_path: Path):
    shown = run_example(tmp_path / "nowhere" / "net.nir")
    assert shown.returncode == 2
    assert "no folder" in shown.stderr.splitlines()[-1]
