"""Declared = imported: every way to break that is found, and named with its file and line."""

from __future__ import annotations

import importlib.util
import os
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


@pytest.mark.parametrize(
    ("module", "line", "expected"),
    [
        ("sj_layers.injected", "import scipy.signal", 'declare: add "scipy"'),
        ("sj_models.injected", "from PIL import Image", 'declare: add "pillow"'),
        ("sj_train.injected", "def f():\n    import scipy", 'declare: add "scipy"'),
        ("sj_neurons.injected", "import sj_layers", 'declare: add "sj-layers"'),
        ("sj_datasets.injected", "from sj_neurons import base", 'declare: add "sj-neurons"'),
        ("sj_layers.injected", "import matplotlib.pyplot", "only in the extra 'plot'"),
        ("sj_train.injected", "try:\n    import sj_nir\nexcept ImportError: ...", "extra 'nir'"),
    ],
)
def test_a_wrong_import_is_found(tool, tree: Path, module: str, line: str, expected: str) -> None:
    inject(tree, module, line)
    (complaint,) = complaints(tool, tree)
    assert "injected.py:" in complaint
    assert expected in complaint


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("sj_layers.injected", "import json, torch\nfrom . import __version__"),
        ("sj_layers.injected", "def f():\n    import matplotlib"),
        (
            "sj_layers.injected",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import matplotlib",
        ),
        ("sj_train.injected", "def f():\n    return import_module('sj_nir')"),
    ],
)
def test_a_right_import_passes(tool, tree: Path, module: str, line: str) -> None:
    inject(tree, module, line)
    assert complaints(tool, tree) == []


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


@pytest.mark.skipif(
    importlib.util.find_spec("importlinter") is None, reason="import-linter is not installed"
)
@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("sj_neurons.injected", "import sj_layers", "Nothing imports upwards"),
        ("sj_layers.injected", "def f():\n    import sj_models", "Nothing imports upwards"),
        ("sj_models.injected", "import sj_datasets", "Models and NIR know neither data"),
        ("sj_train.injected", "import sj_layers", "The training core knows no model"),
        ("sz_models.injected", "import sj_layers", "Reconstruction stands beside"),
        ("sj_datasets.injected", "import torch", "Data need no torch"),
        ("sj_layers.injected", "import cupy", "Only the kernels touch CuPy"),
        ("sj_train.injected", "import torchvision", "No torchvision"),
    ],
)
def test_a_broken_contract_fails(tree: Path, module: str, line: str, contract: str) -> None:
    inject(tree, module, line)
    sources = os.pathsep.join(str(path) for path in sorted(tree.glob("packages/*/src")))
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()",
         "--no-cache"],
        cwd=tree, env={**os.environ, "PYTHONPATH": sources, "NO_COLOR": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    broken = [text for text in done.stdout.splitlines() if " BROKEN" in text]
    assert any(text.startswith(contract) for text in broken), done.stdout
