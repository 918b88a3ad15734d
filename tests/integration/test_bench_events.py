"""The benchmark of event data runs, with or without other libraries; no time is judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "bench_events.py"


def test_the_benchmark_says_what_it_measured(tmp_path: Path) -> None:
    file = tmp_path / "quick.json"
    done = subprocess.run(
        [sys.executable, SCRIPT, "--quick", "--json", str(file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "growth" in done.stdout
    result = json.loads(file.read_text(encoding="utf-8"))
    assert {"python", "numpy", "sj-datasets"} <= set(result["versions"])
    parts = {row["part"]: row for row in result["parts"]}
    assert set(parts) == {"integrate", "aedat", "cache", "spikes"}
    for row in parts.values():
        assert all(time["low"] <= time["ms"] <= time["high"] for time in row["ms"].values())
        for ratio in row["ratios"]:
            assert {ratio["slow"], ratio["fast"]} <= set(row["ms"])
    assert [row["N"] for row in result["growth"] if row["by"] == "number"] == [10_000, 100_000]
