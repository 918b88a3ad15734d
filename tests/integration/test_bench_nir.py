"""The benchmark of NIR import runs and writes what the documentation shows; no time is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
RESULT = ROOT / "benchmarks" / "results" / "amd-epyc-zen4-nir.json"


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "bench_nir.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_graph_is_written_imported_and_run(tmp_path: Path):
    file = tmp_path / "result.json"
    done = bench("--seconds", "0.01", "--json", str(file))
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(file.read_text(encoding="utf-8"))["nir"]
    assert row["file"] == "written_here"
    assert {"import", "sj_nir"} <= row["ms"].keys()


def test_a_missing_folder_is_refused(tmp_path: Path):
    done = bench(str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "no folder" in done.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    return json.loads(RESULT.read_text(encoding="utf-8"))


def test_the_committed_result_is_as_fast_as_it_must_be(committed: dict[str, Any]):
    assert all(row["ms"]["import"]["ms"] < 1000 for row in committed["nir"])
    assert all(row["gain"] >= 5 for row in committed["nir"] if "gain" in row)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_table_shows_every_file(committed, language, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    import speed_tables

    made = speed_tables.table("nir", committed, language)
    assert [row[0] for row in made.rows] == [row["file"] for row in committed["nir"]]
    assert all(len(row) == len(made.head) for row in made.rows)
