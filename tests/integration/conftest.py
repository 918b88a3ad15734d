"""A copy of this repository, its tools as commands, and code run as in a fresh process."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
Tool = Callable[..., subprocess.CompletedProcess[str]]
Run = Callable[..., subprocess.CompletedProcess[str]]

PROCESS = """
import os, sys
os.chdir({folder!r})
for stream, file in ((sys.stdout, {out!r}), (sys.stderr, {err!r})):
    os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream.fileno())
    stream.reconfigure(encoding="utf-8")
os.environ["MPLBACKEND"] = "Agg"
sys.argv = {argv!r}
sys.path.insert(0, {folder!r})
exec(compile({code!r}, "code", "exec"), {{"__name__": "__main__"}})
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the tools look at: packages, tools, settings; no git history."""
    copy = tmp_path / "copy"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "tests")
    for folder in ("packages", "tools"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


@pytest.fixture
def tool() -> Tool:
    """Runs a script of tools/ as a command, on the repository given as the last argument."""

    def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, ROOT / "tools" / script, *arguments],
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs code in a process of its own that, if the system can fork, finds torch imported."""
    method = "forkserver" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    # what every optimizer of torch imports too, but nothing of ours: code imports what it uses
    context.set_forkserver_preload(["torch", "torch._dynamo"])

    def run(code: str, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        log = tmp_path_factory.mktemp("output")
        argv = ["code", *map(str, arguments)]
        out, err = log / "out", log / "err"
        script = PROCESS.format(
            folder=str(folder), out=str(out), err=str(err), argv=argv, code=code
        )
        process = context.Process(target=exec, args=(script, {"__name__": "__main__"}))
        process.start()
        process.join(300)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"still running after 300 s:\n{err.read_text('utf-8')}")
        return subprocess.CompletedProcess(
            argv, process.exitcode, out.read_text("utf-8"), err.read_text("utf-8")
        )

    return run


@pytest.fixture(scope="session")
def forked_script(forked: Run) -> Run:
    """Runs a script as its command line would, in such a process."""

    def run(script: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        code = (
            "import runpy, sys\n"
            f"sys.argv[0] = {str(script)!r}\n"
            f"sys.path[0] = {str(script.parent)!r}\n"
            f"runpy.run_path({str(script)!r}, run_name='__main__')"
        )
        return forked(code, folder, *arguments)

    return run
