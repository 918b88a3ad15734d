"""The small tools: twin pages, sums of JUnit files, versions, what a session installs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def tools_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])


def pages(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("# Title\n")


def test_equal_trees_pass(tool, tmp_path: Path) -> None:
    pages(tmp_path, "README.md", "README.zh.md", "docs/en/a/b.md", "docs/zh/a/b.md")
    assert tool("docs_pairs.py", tmp_path).returncode == 0


@pytest.mark.parametrize(
    "missing", ["README.md", "README.zh.md", "docs/en/index.md", "docs/zh/deep/page.md"]
)
def test_a_missing_twin_fails_by_name(tool, tmp_path: Path, missing: str) -> None:
    names = {"README.md", "README.zh.md"}
    names |= {
        f"docs/{tree}/{page}" for tree in ("en", "zh") for page in ("index.md", "deep/page.md")
    }
    pages(tmp_path, *(names - {missing}))
    done = tool("docs_pairs.py", tmp_path)
    assert done.returncode == 1
    assert f"{missing} is missing" in done.stderr


def test_junit_files_add_up_and_errors_count_as_failed(tool, tmp_path: Path) -> None:
    first = '<testsuite tests="10" failures="1" errors="2" skipped="3"/>'
    (tmp_path / "a.xml").write_text(f"<testsuites>{first}</testsuites>")
    (tmp_path / "b.xml").write_text('<testsuite tests="5" failures="0" errors="0" skipped="0"/>')
    assert tool("junit.py", tmp_path).stdout == "9 passed, 3 failed, 3 skipped\n"
    (tmp_path / "c.xml").write_text("<testsuites><cut")
    assert tool("junit.py", tmp_path).stdout == "9 passed, 4 failed, 3 skipped\n"
    assert tool("junit.py", tmp_path / "none").stdout == "0 passed, 0 failed, 0 skipped\n"


def test_bumping_and_ranges() -> None:
    versions = importlib.import_module("versions")
    version = versions.Version.parse("0.1.2")
    assert [str(version.bump(level)) for level in versions.LEVELS] == ["0.1.3", "0.2.0", "1.0.0"]
    assert [version.may_break(level) for level in versions.LEVELS] == [False, True, True]
    assert not versions.Version(1, 2).may_break("minor")
    for text, inside in [(">=0.1,<0.2", True), (">=0.1.3", False), ("", True), ("!=0.1.2", False)]:
        assert versions.contains(text, version) is inside
    for following in (version.bump("patch"), version.bump("minor"), version.bump("major")):
        assert versions.contains(versions.range_for(following), following)
    with pytest.raises(ValueError, match=r"cannot read the range '~=0\.1'"):
        versions.contains("~=0.1", version)
    with pytest.raises(ValueError, match="1\\.2\\.3"):
        versions.Version.parse("0.1rc1")


def test_a_session_installs_a_package_with_what_it_declares_and_no_more() -> None:
    workspace = importlib.import_module("workspace").Workspace(ROOT)
    assert workspace.editable(["sj-neurons"]) == ["-e", "packages/sj-neurons"]
    assert list(workspace.closure(["sj-models"])) == ["sj-neurons", "sj-layers", "sj-models"]
    assert workspace.closure(["sj-datasets[media]"]) == {"sj-datasets": {"media"}}
    assert "sj-datasets" not in workspace.closure(["sj-train"])
    assert {"sj-models", "sj-datasets"} <= workspace.closure(["sj-train[recipes]"]).keys()
    with pytest.raises(ValueError, match="sj-layers has no extra 'nothing'"):
        workspace.closure(["sj-layers[nothing]"])


def test_docstrings_may_hold_plain_equations_and_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs" / "_ext"), *sys.path])
    process = importlib.import_module("docstrings").process
    lines = ["Title `[T, *]`.", "", "    v[t] = a * |x|", "", "From [N, *] and v_."]
    lines += ["", "/a*     one", "/b      two", "", "Args:", "    *args: as `a_`."]
    process(None, "module", "m", None, None, lines)
    assert lines == [
        "Title `[T, *]`.", "", "::", "", "    v[t] = a * |x|", "", "From [N, \\*] and v\\_.",
        "", "::", "", "    /a*     one", "    /b      two", "", "Args:", "    *args: as `a_`.",
    ]  # fmt: skip
