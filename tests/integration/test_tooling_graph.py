"""Declared = imported: every way to break that is found, and named with its file and line."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


def inject(tree: Path, module: str, line: str) -> None:
    """Writes a new module with one statement; ``module`` is like sj_layers.injected."""
    package, _, rest = module.partition(".")
    folder = tree / "packages" / package.replace("_", "-") / "src" / package
    (folder / f"{rest}.py").write_text(f"{line}\n", encoding="utf-8")


def complaints(tool, tree: Path) -> list[str]:
    done = tool("graph.py", "--check", "--root", tree)
    assert done.returncode == (1 if done.stderr else 0)
    return [line for line in done.stderr.splitlines() if "injected" in line]


WRONG = [
    ("sj_layers", "import scipy.signal", 'declare: add "scipy"'),
    ("sj_models", "from PIL import Image", 'declare: add "pillow"'),
    ("sj_train", "def f():\n    import scipy", 'declare: add "scipy"'),
    ("sj_neurons", "import sj_layers", 'declare: add "sj-layers"'),
    ("sj_datasets", "from sj_neurons import base", 'declare: add "sj-neurons"'),
    ("sj_layers", "import matplotlib.pyplot", "only in the extra 'plot'"),
    ("sj_train", "try:\n    import sj_nir\nexcept ImportError: ...", "extra 'nir'"),
]
RIGHT = [
    ("sj_layers", "import json, torch\nfrom . import __version__"),
    ("sj_layers", "def f():\n    import matplotlib"),
    ("sj_layers", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import matplotlib"),
    ("sj_train", "def f():\n    return import_module('sj_nir')"),
]


def test_wrong_imports_are_found_and_right_ones_pass(tool, tree: Path) -> None:
    for number, (package, line, _) in enumerate(WRONG):
        inject(tree, f"{package}.injected_wrong_{number}", line)
    for number, (package, line) in enumerate(RIGHT):
        inject(tree, f"{package}.injected_right_{number}", line)
    found = complaints(tool, tree)
    assert len(found) == len(WRONG)
    for number, (_, _, expected) in enumerate(WRONG):
        (complaint,) = (text for text in found if f"injected_wrong_{number}.py:" in text)
        assert expected in complaint


def test_a_dependency_nobody_imports_is_found_unless_a_reason_is_given(tool, tree: Path) -> None:
    pyproject = tree / "packages" / "sj-layers" / "pyproject.toml"
    content = pyproject.read_text(encoding="utf-8")
    content = content.replace("dependencies = [\n", 'dependencies = [\n    "injected>=1",\n', 1)
    pyproject.write_text(content, encoding="utf-8")
    (complaint,) = complaints(tool, tree)
    assert "declares injected, but no source imports it" in complaint

    table = "" if "[tool.graph.unimported]" in content else "\n[tool.graph.unimported]\n"
    pyproject.write_text(f'{content}{table}injected = "a reason"\n', encoding="utf-8")
    assert complaints(tool, tree) == []

    inject(tree, "sj_layers.other", "import injected")
    (complaint,) = complaints(tool, tree)
    assert "unimported names injected, which is imported: remove it" in complaint


def test_what_is_used_only_if_present_needs_a_reason(tool, tree: Path) -> None:
    pyproject = tree / "packages" / "sj-layers" / "pyproject.toml"
    content = pyproject.read_text(encoding="utf-8")
    table = "\n[tool.graph.undeclared]\ninjected = 'a reason'\n"
    pyproject.write_text(content + table, encoding="utf-8")
    (complaint,) = complaints(tool, tree)
    assert "holds injected, which needs no exception: remove it" in complaint
    inject(tree, "sj_layers.other", "def f():\n    import injected")
    assert complaints(tool, tree) == []
    inject(tree, "sj_layers.other", "import injected")
    assert any('declare: add "injected"' in line for line in complaints(tool, tree))


def test_a_module_that_is_all_about_an_extra_may_load_it_with_a_reason(tool, tree: Path) -> None:
    inject(tree, "sj_layers.injected", "import matplotlib")
    assert len(complaints(tool, tree)) == 1
    with (tree / "packages" / "sj-layers" / "pyproject.toml").open("a") as pyproject:
        pyproject.write("\n[tool.graph.eager]\n'sj_layers.injected' = 'a reason'\n")
    assert complaints(tool, tree) == []


def test_contracts_and_declarations_must_agree(tool, tree: Path) -> None:
    pyproject = tree / "packages" / "sj-models" / "pyproject.toml"
    content = pyproject.read_text(encoding="utf-8")
    content = content.replace("dependencies = [\n", 'dependencies = [\n    "sj-datasets",\n', 1)
    pyproject.write_text(content, encoding="utf-8")
    done = tool("graph.py", "--check", "--root", tree)
    assert "forbids sj_models -> sj_datasets, which sj-models declares" in done.stderr


CONTRACTS = [
    ("sj_neurons", "import sj_layers", "Nothing imports upwards"),
    ("sj_layers", "def f():\n    import sj_models", "Nothing imports upwards"),
    ("sj_models", "import sj_datasets", "Models and NIR know neither data"),
    ("sj_train", "import sj_layers", "The training core knows no model"),
    ("sz_models", "import sj_layers", "Reconstruction stands beside"),
    ("sj_datasets", "import torch", "Data need no torch"),
    ("sj_layers", "import cupy", "Only the kernels touch CuPy"),
    ("sj_train", "import torchvision", "No torchvision"),
]


@pytest.mark.skipif(
    importlib.util.find_spec("importlinter") is None, reason="import-linter is not installed"
)
def test_broken_contracts_fail(tree: Path) -> None:
    for number, (package, line, _) in enumerate(CONTRACTS):
        inject(tree, f"{package}.injected_{number}", line)
    sources = os.pathsep.join(str(path) for path in sorted(tree.glob("packages/*/src")))
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()",
         "--no-cache"],
        cwd=tree, env={**os.environ, "PYTHONPATH": sources, "NO_COLOR": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    broken = [text for text in done.stdout.splitlines() if " BROKEN" in text]
    _, _, details = done.stdout.partition("Broken contracts")
    # each contract is a heading, underlined, and the imports against it
    sections = re.split(r"\n(?=[^\n]+\n-{4,}\n)", details)
    for number, (package, line, contract) in enumerate(CONTRACTS):
        assert any(text.startswith(contract) for text in broken), done.stdout
        (section,) = (text for text in sections if text.startswith(contract))
        assert f"{package}.injected_{number} -> {line.split()[-1]} (l." in section
