"""What the fuzzer has found, replayed; `tools/fuzz_readers.py` looks for more."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from sj_datasets.errors import FormatError

HERE = Path(__file__).parent
CORPUS = sorted((HERE / "fuzz_corpus").glob("[!.]*"))

spec = importlib.util.spec_from_file_location("fuzz_harness", HERE / "fuzz_harness.py")
assert spec is not None and spec.loader is not None
harness = importlib.util.module_from_spec(spec)
spec.loader.exec_module(harness)


def test_valid_files_of_every_reader_are_read(tmp_path):
    seeds = harness.write_seeds(tmp_path)
    assert len(seeds) >= len(harness.TARGETS) - 1
    for seed in seeds:
        result = harness.run_one(seed.read_bytes(), tmp_path)
        assert not isinstance(result, Exception), (seed.name, result)


def test_inputs_of_the_corpus_raise_declared_errors_only(tmp_path):
    assert len(CORPUS) > 20
    errors = 0
    for path in CORPUS:
        try:
            errors += isinstance(harness.run_one(path.read_bytes(), tmp_path), FormatError)
        except Exception as error:
            pytest.fail(f"{path.name}: {error!r}")
    assert errors > 10


def test_the_corpus_stays_small():
    assert sum(path.stat().st_size for path in CORPUS) < 200_000
