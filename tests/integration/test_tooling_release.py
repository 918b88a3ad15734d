"""Releases: a plan that changes nothing, a release on a clone, and every refusal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def git(repository: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=repository, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def package(root: Path, name: str, requires: list[str], extra: list[str]) -> None:
    """A package at 0.1.0 with one line of news."""
    folder = root / "packages" / name
    source = folder / "src" / name.replace("-", "_")
    source.mkdir(parents=True)
    (source / "__init__.py").write_text('"""Text."""\n\n__version__ = "0.1.0"\n\nx = 1\n')
    (folder / "CHANGELOG.md").write_text(f"# {name}\n\n## Unreleased\n\n### Added\n\n- News.\n")
    table = f'[build-system]\nrequires = []\n\n[project]\nname = "{name}"\n'
    table += f"dependencies = {json.dumps(requires)}\n"
    table += f"\n[project.optional-dependencies]\nmore = {json.dumps(extra)}\n"
    (folder / "pyproject.toml").write_text(table)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small git repository: models need layers need neurons, training may use layers."""
    root = tmp_path / "clone"
    neurons, layers = "sj-neurons>=0.1,<0.2", "sj-layers>=0.1,<0.2"
    package(root, "sj-datasets", ["numpy>=1.26"], [])
    package(root, "sj-neurons", ["torch>=2.6"], [])
    package(root, "sj-layers", ["torch>=2.6", neurons], [])
    package(root, "sj-models", [layers, neurons], ["sj-datasets[more]>=0.1,<1"])
    package(root, "sj-train", [neurons], [layers])
    (root / ".gitignore").write_text("__pycache__/\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "start")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "t")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "t@localhost")
    return root


@pytest.fixture
def release(tool, clone: Path):
    return lambda *arguments: tool("release.py", *arguments, "--root", clone)


def changelog(clone: Path, package: str) -> str:
    return (clone / "packages" / package / "CHANGELOG.md").read_text(encoding="utf-8")


def test_dry_run_of_a_patch_prints_the_plan_and_changes_nothing(release, clone: Path) -> None:
    done = release("sj-neurons", "patch", "--dry-run")
    assert done.returncode == 0, done.stderr
    for expected in (
        "sj-neurons 0.1.0 -> 0.1.1 (patch)",
        '__init__.py: __version__ = "0.1.1"',
        "- News.",
        "sj-layers (sj-neurons>=0.1,<0.2)",
        'nox -s "tests(sj-neurons)"',
        '"tests(sj-train)"',
        "tag: sj-neurons-v0.1.1",
    ):
        assert expected in done.stdout
    assert "tests(sj-datasets)" not in done.stdout
    assert git(clone, "status", "--porcelain") == ""
    assert git(clone, "tag") == ""


def test_it_needs_the_standard_library_only(clone: Path) -> None:
    command = [sys.executable, "-S", "-E", ROOT / "tools" / "release.py"]
    command += ["sj-neurons", "minor", "--dry-run", "--root", clone]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_patch_commits_and_tags(release, clone: Path) -> None:
    done = release("sj-neurons", "patch", "--skip-checks")
    assert done.returncode == 0, done.stderr
    assert git(clone, "tag") == "sj-neurons-v0.1.1"
    assert git(clone, "log", "-1", "--format=%s") == "sj-neurons: release 0.1.1"
    assert git(clone, "status", "--porcelain") == ""
    assert git(clone, "rev-parse", "sj-neurons-v0.1.1^{commit}") == git(clone, "rev-parse", "HEAD")
    source = clone / "packages/sj-neurons/src/sj_neurons/__init__.py"
    assert '__version__ = "0.1.1"' in source.read_text(encoding="utf-8")
    head, _, dated = changelog(clone, "sj-neurons").partition("## 0.1.1 - ")
    assert head.endswith("## Unreleased\n\n")
    assert "- News." in dated
    assert git(clone, "show", "--stat", "--format=").count("|") == 2


def test_minor_moves_the_ranges_of_dependants(release, clone: Path) -> None:
    done = release("sj-layers", "minor", "--skip-checks")
    assert done.returncode == 0, done.stderr
    for name in ("sj-models", "sj-train"):
        pyproject = (clone / "packages" / name / "pyproject.toml").read_text(encoding="utf-8")
        assert '"sj-layers>=0.2,<0.3"' in pyproject
        assert '"sj-neurons>=0.1,<0.2"' in pyproject
        assert "### Changed\n\n- Needs `sj-layers>=0.2,<0.3`." in changelog(clone, name)
        assert "- News." in changelog(clone, name)
        assert f"{name}: sj-layers>=0.1,<0.2 becomes sj-layers>=0.2,<0.3" in done.stdout
    assert "Needs" not in changelog(clone, "sj-datasets")


def test_a_wide_range_stays_and_extras_survive(release) -> None:
    assert (
        "sj-models (sj-datasets[more]>=0.1,<1)"
        in release("sj-datasets", "minor", "--dry-run").stdout
    )
    done = release("sj-datasets", "major", "--dry-run")
    assert "sj-datasets[more]>=0.1,<1 becomes sj-datasets[more]>=1.0,<2" in done.stdout


def test_only_what_reaches_the_package_is_tested(release) -> None:
    plan = release("sj-layers", "patch", "--dry-run").stdout
    assert 'nox -s "tests(sj-layers)" "tests(sj-models)" "tests(sj-train)" build' in plan


def test_a_second_release_keeps_the_first_in_the_changelog(release, clone: Path) -> None:
    assert release("sj-datasets", "patch", "--skip-checks").returncode == 0
    empty = release("sj-datasets", "patch", "--skip-checks")
    assert empty.returncode == 2
    assert "nothing under '## Unreleased'" in empty.stderr
    path = clone / "packages/sj-datasets/CHANGELOG.md"
    path.write_text(path.read_text().replace("## Unreleased\n", "## Unreleased\n\n- More.\n", 1))
    git(clone, "commit", "-q", "-a", "-m", "more")
    assert release("sj-datasets", "patch", "--skip-checks").returncode == 0
    titles = [t[3:8] for t in changelog(clone, "sj-datasets").splitlines() if t.startswith("## ")]
    assert titles == ["Unrel", "0.1.2", "0.1.1"]


def test_uncommitted_changes_are_refused(release, clone: Path) -> None:
    (clone / "new.txt").write_text("x")
    done = release("sj-neurons", "patch", "--skip-checks")
    assert done.returncode == 2
    assert "commit or remove your changes first" in done.stderr
    assert "new.txt" in done.stderr
    assert "1 uncommitted changes would stop" in release("sj-neurons", "patch", "--dry-run").stdout


def test_an_unknown_package_is_refused(release) -> None:
    done = release("sj-nothing", "patch", "--dry-run")
    assert done.returncode == 2
    assert "no package 'sj-nothing'; there are sj-datasets" in done.stderr


@pytest.mark.parametrize("failing", ["tests", "commit"])
def test_any_failure_leaves_the_tree_as_it_was(
    release, clone: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if failing == "tests":  # a nox that always fails
        stub = clone.parent / "stub"
        stub.mkdir()
        (stub / "nox.py").write_text("raise SystemExit(1)\n")
        monkeypatch.setenv("PYTHONPATH", str(stub))
        options: list[str] = []
    else:
        hook = clone / ".git" / "hooks" / "pre-commit"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
        options = ["--skip-checks"]
    before = git(clone, "rev-parse", "HEAD")
    done = release("sj-layers", "minor", *options)
    assert done.returncode == 2
    assert git(clone, "status", "--porcelain") == ""
    assert git(clone, "rev-parse", "HEAD") == before
    assert git(clone, "tag") == ""


def test_a_patch_that_breaks_the_api_is_refused(
    release, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(clone, "tag", "sj-neurons-v0.1.0")
    stub = clone.parent / "stub"
    stub.mkdir()
    (stub / "nox.py").write_text("import sys\nraise SystemExit('api' in sys.argv)\n")
    monkeypatch.setenv("PYTHONPATH", str(stub))
    for options in ([], ["--dry-run"]):
        done = release("sj-neurons", "patch", *options)
        assert done.returncode == 2
        assert "must keep the public names of sj-neurons-v0.1.0" in done.stderr
    assert release("sj-neurons", "minor", "--dry-run").returncode == 0
    assert git(clone, "status", "--porcelain") == ""
