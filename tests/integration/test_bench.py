"""The benchmark runs and writes what the documentation shows; no time is judged here."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "benchmarks" / "bench_neuron.py"
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


def bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, "--quick", *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The numbers of a run at tiny sizes."""
    file = tmp_path_factory.mktemp("bench") / "quick.json"
    done = bench("--parts", "lif,memory,dtypes,threads,start", "--json", str(file))
    assert done.returncode == 0, done.stderr
    assert "Bytes per neuron-step" in done.stdout
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


def test_result_says_on_what_it_was_measured(quick: dict[str, Any]) -> None:
    assert quick["settings"]["threads"] == 1
    assert {"python", "torch", "compiler", "sj-neurons"} <= set(quick["versions"])
    assert quick["settings"]["allocator"] == "kept"


def test_both_directions_are_timed_with_their_floor(quick: dict[str, Any]) -> None:
    for row in quick["lif"]:
        assert row["floor_ms"] > 0
        assert {"cpp", "torch"} <= set(row["times"])
        assert all(t["low"] <= t["ms"] <= t["high"] for t in row["times"].values())
    assert [row["direction"] for row in quick["lif"]] == ["forward", "both"]


def test_fused_backend_saves_nothing_and_torch_does(quick: dict[str, Any]) -> None:
    rows = {row["layer"]: row for row in quick["memory"]}
    assert rows["cpp"]["saved"] == 0
    assert rows["torch"]["saved"] > 0
    # output and gradient of the input, 4 bytes each, and the last potential, once per 4 steps
    assert rows["cpp"]["peak"] == 9


def test_compiled_kernel_is_found_again(quick: dict[str, Any]) -> None:
    assert set(quick["start"]) == {"import", "backend", "compiled", "cached", "warm"}


def test_allocator_setting_can_be_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    done = bench(
        "--parts", "memory", "--allocator", "as-is", "--json", str(file), MALLOC_MMAP_MAX_="7"
    )
    assert done.returncode == 0, done.stderr
    settings = json.loads(file.read_text(encoding="utf-8"))["settings"]
    assert settings["allocator"] == "MALLOC_MMAP_MAX_=7"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--parts", "speed"), "no such part: speed"),
        (("--sizes", "4y8"), "a size is T x N"),
        (("--json", "no/such/folder/x.json"), "no folder"),
    ],
)
def test_wrong_options_end_with_status_2(arguments: tuple[str, ...], complaint: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1]


def test_check_fails_where_nothing_was_measured(tmp_path: Path) -> None:
    done = bench("--parts", "lif", "--check")
    assert done.returncode == 1
    assert "nothing was measured" in done.stderr


# what the documentation shows


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", ["lif", "memory", "dtypes", "threads", "start", "machine"])
def test_tables_come_from_the_json(
    quick: dict[str, Any], tables: ModuleType, kind: str, language: str
) -> None:
    made = tables.table(kind, quick, language)
    assert made.rows
    assert all(len(line) == len(made.head) for line in made.rows)


def test_table_shows_the_measured_numbers(quick: dict[str, Any], tables: ModuleType) -> None:
    made = tables.table("lif", quick, "en")
    row = quick["lif"][0]
    assert made.rows[0][0] == "[4, 2¹²]"
    assert tables.number(row["times"]["cpp"]["ms"]) in made.rows[0]
    assert f"{row['times']['cpp']['ms'] / row['floor_ms']:.2f}" in made.rows[0]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_committed_results_fit_the_tables(path: Path, tables: ModuleType) -> None:
    result = json.loads(path.read_text(encoding="utf-8"))
    if result.get("benchmark") != "neuron":
        pytest.skip("of another benchmark")
    for kind in tables.TABLES:
        for language in ("en", "zh"):
            made = tables.table(kind, result, language)
            assert all(len(line) == len(made.head) for line in made.rows)
