"""The benchmarks of the Trainer run and write what the documentation shows; no time is judged."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def bench(name: str, file: Path, *options: str) -> dict[str, Any]:
    """The numbers of a run at tiny sizes."""
    script = ROOT / "benchmarks" / f"bench_{name}.py"
    command = [sys.executable, str(script), "--quick", "--json", str(file), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Targets" in done.stdout
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """The module that the documentation makes its tables with."""
    path = ROOT / "docs" / "_ext" / "speed_tables.py"
    spec = importlib.util.spec_from_file_location("speed_tables", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_steps_of_the_trainer_are_timed_beside_the_bare_loop(tmp_path):
    result = bench("trainer", tmp_path / "steps.json", "--parts", "steps")
    (row,) = result["trainer"]
    assert {"bare", "trainer", "channels_last"} <= set(row["ms"])
    assert all(t["low"] <= t["ms"] <= t["high"] for t in row["ms"].values())
    assert result["trainer_targets"][0]["at_most"] == 1.02


@pytest.mark.slow  # eight processes
def test_a_resumed_run_reads_no_sample_before_its_position(tmp_path):
    result = bench("trainer", tmp_path / "resume.json", "--parts", "resume")
    rows = result["resume"]["rows"]
    assert rows["late batch"]["samples_read"] == rows["new run"]["samples_read"]
    more = [row for row in result["trainer_targets"] if row["name"] == "skipped samples read"]
    assert [row["met"] for row in more] == [True, True]


def test_memory_of_long_sequences_is_counted(tmp_path):
    result = bench("long_sequences", tmp_path / "sequences.json", "--T", "16")
    peaks = {(row["network"], row["way"]): row["memory"] for row in result["sequences"]}
    assert peaks["conv", "plain"] == 1
    assert peaks["conv", "--time-chunk 4"] < peaks["conv", "--time-chunk 8"] < 1


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", ["trainer", "resume", "sequences", "trainer_targets"])
def test_committed_results_fit_the_tables(tables: ModuleType, kind: str, language: str) -> None:
    results = [r for r in tables.results() if r.get(kind)]
    assert results
    for result in results:
        made = tables.table(kind, result, language)
        assert all(len(line) == len(made.head) for line in made.rows)


def test_committed_results_meet_what_they_must(tables: ModuleType) -> None:
    limits = [row for r in tables.results() for row in r.get("trainer_targets", ())]
    assert {row["name"] for row in limits} >= {
        "Trainer over a bare loop",
        "training step over SpikingJelly",
        "resume",
        "skipped samples read",
        "memory over plain",
    }
    assert [row for row in limits if row["kind"] == "must" and not row["met"]] == []
