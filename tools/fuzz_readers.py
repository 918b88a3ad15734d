"""Coverage-guided fuzzing of every reader of sj-datasets.

    python tools/fuzz_readers.py --seconds 1200
    python tools/fuzz_readers.py --seconds 1200 --merge     # keep inputs that reach new code

Needs atheris and the package with its extras. One input for every place that fails is written to
--findings, and the status is 1; once mended, it belongs into the corpus, which the tests replay.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent / "packages" / "sj-datasets" / "tests"
MEMORY_MB = 4096
LONGEST_INPUT = 16_384
SECONDS_PER_INPUT = 10
CHILD = "--in-this-process"


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == [CHILD]:
        _fuzz(Path(arguments[1]), arguments[2:])
        return 0
    parser = argparse.ArgumentParser(description="Fuzz every reader of sj-datasets.")
    parser.add_argument("--seconds", type=int, default=1200, help="how long (default 1200)")
    parser.add_argument("--corpus", type=Path, default=TESTS / "fuzz_corpus", metavar="DIR")
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz-findings"), metavar="DIR")
    parser.add_argument("--merge", action="store_true", help="add what reaches new code to DIR")
    options = parser.parse_args(arguments)
    if importlib.util.find_spec("atheris") is None:
        parser.error("atheris is missing: pip install atheris")
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder:
        return _run(options, Path(folder))


def _run(options: argparse.Namespace, folder: Path) -> int:
    options.findings.mkdir(exist_ok=True, parents=True)
    options.corpus.mkdir(exist_ok=True, parents=True)
    found, seeds = folder / "found", folder / "seeds"
    found.mkdir()
    seeds.mkdir()
    _harness().write_seeds(seeds)
    status = _child(
        options.findings,
        f"-max_total_time={options.seconds}",
        str(found),
        str(options.corpus),
        str(seeds),
    )
    if options.merge:
        _child(options.findings, "-merge=1", str(options.corpus), str(found))
    findings = sorted(path.name for path in options.findings.iterdir())
    print(f"{len(findings)} findings in {options.findings}", *findings, sep="\n  ")
    return 1 if findings else status


def _child(findings: Path, *libfuzzer: str) -> int:
    # the fuzzer ends its process by itself
    common = [
        f"-max_len={LONGEST_INPUT}",
        f"-timeout={SECONDS_PER_INPUT}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={findings.resolve()}/",
    ]
    command = [sys.executable, __file__, CHILD, str(findings), *common, *libfuzzer]
    return min(subprocess.run(command, check=False).returncode, 1)


def _memory_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _harness() -> Any:
    spec = importlib.util.spec_from_file_location("fuzz_harness", TESTS / "fuzz_harness.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_harness"] = module
    spec.loader.exec_module(module)
    return module


def _fuzz(findings: Path, libfuzzer: Sequence[str]) -> None:
    atheris: Any = importlib.import_module("atheris")
    _limit_memory()
    with atheris.instrument_imports(include=["sj_datasets", "zipfile", "tarfile", "gzip"]):
        harness = _harness()
        _import_readers()
    warnings.simplefilter("error")
    folder = Path(tempfile.mkdtemp(dir=_memory_folder()))
    places: set[tuple[str, int]] = set()

    def one(data: bytes) -> None:
        try:
            harness.run_one(data, folder)
        except Exception as error:
            place = _place(error)
            if place not in places:
                places.add(place)
                _report(error, data, findings, harness.TARGETS[data[0]].name)

    try:
        # merging runs this command again, through the shell
        command = [sys.executable, __file__, CHILD, str(findings)]
        atheris.Setup([" ".join(command), *libfuzzer], one)
        atheris.Fuzz()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _place(error: BaseException) -> tuple[str, int]:
    """File and line of ours at which an error came out of the readers."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f"{os.sep}sj_datasets{os.sep}" in f.filename] or frames
    return ours[-1].filename, ours[-1].lineno or 0


def _report(error: Exception, data: bytes, findings: Path, target: str) -> None:
    path = findings / f"{target}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    print(f"\n{path}", file=sys.stderr)
    traceback.print_exception(error)


def _import_readers() -> None:
    """Readers are imported when they are first used; here that must be now."""
    for row in importlib.import_module("sj_datasets.formats.table").FORMATS.values():
        importlib.import_module(row.read.partition(":")[0])


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on this system
        return
    limit = 2 * MEMORY_MB << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
