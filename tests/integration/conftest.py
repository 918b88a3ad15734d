"""A copy of this repository, and its tools as commands, for trying the one on the other."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
Tool = Callable[..., subprocess.CompletedProcess[str]]


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
