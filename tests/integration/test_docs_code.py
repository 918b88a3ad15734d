"""The documents tell the truth: their Python runs, their commands, sessions and links exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PATTERNS = ("*.md", "packages/*/README.md", "docs/*.md", "docs/en/**/*.md", "docs/zh/**/*.md")
DOCUMENTS = sorted({path for pattern in PATTERNS for path in ROOT.glob(pattern)})
FENCE = re.compile(r"^( *)```(\S*)[ \t]*([^\n]*)\n(.*?)^\1```[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its first line in the document, its info string, its text."""

    line: int
    language: str
    info: str
    code: str


def blocks(document: Path) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    return [
        Block(text.count("\n", 0, m.start()) + 2, m[2], m[3].strip(), textwrap.dedent(m[4]))
        for m in FENCE.finditer(text)
    ]


def runnable(document: Path) -> list[Block]:
    python = [block for block in blocks(document) if block.language == "python"]
    return [block for block in python if not block.info.startswith("no-run")]


def script_of(code_blocks: list[Block]) -> str:
    """Runs blocks one after the other in one namespace."""
    script = "namespace = {'__name__': '__main__'}\n"
    for block in code_blocks:
        padded = "\n" * (block.line - 1) + block.code  # tracebacks show the document's lines
        script += f"exec(compile({padded!r}, 'document', 'exec'), namespace)\n"
    return script


def name_of(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def said_once() -> list[Path]:
    """Documents with code to run, without those whose code stands in one before them."""
    first: dict[tuple[str, ...], Path] = {}
    for document in DOCUMENTS:
        if code := runnable(document):
            # twins in two languages differ in comments and texts alone
            first.setdefault(tuple(skeleton(block.code) for block in code), document)
    return list(first.values())


def skeleton(code: str) -> str:
    """The code without comments, and with the same text for every text in Chinese."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = node.value if node.value.isascii() else "text"
    return ast.dump(tree)


@pytest.mark.parametrize("document", said_once(), ids=name_of)
def test_python_blocks_run(document: Path, tmp_path: Path, forked) -> None:
    done = forked(script_of(runnable(document)), tmp_path)
    assert done.returncode == 0, f"{name_of(document)}:\n{done.stderr}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_blocks_left_out_say_why(document: Path) -> None:
    for block in blocks(document):
        if block.language == "python" and block.info:
            where = f"{name_of(document)}:{block.line}"
            assert re.fullmatch(r"no-run: \S.*", block.info), f"{where}: write no-run: reason"


def sessions() -> set[str]:
    """The session names that noxfile.py defines, read without nox."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    names = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(d).startswith("nox.session") for d in node.decorator_list)
    }
    packages = (path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))
    return names | {f"tests({package})" for package in packages}


def named_sessions(text: str) -> set[str]:
    """What follows ``nox -s`` in code: names up to ``--``, a comment or the end of the code."""
    found: set[str] = set()
    for match in re.finditer(r"\bnox\s+(?:-R\s+)?-s\s+([^`\n#|&;]*)", text):
        arguments = re.split(r"\s--(?:\s|$)", match[1])[0]
        found |= {a.strip("\"'") for a in re.findall(r"\"[^\"]+\"|'[^']+'|[\w()-]+", arguments)}
    return found - {"NAME"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_named_sessions_scripts_and_links_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    commands = "\n".join(b.code for b in blocks(document)) + "\n".join(
        re.findall(r"`[^`\n]+`", text)
    )
    assert named_sessions(commands) <= sessions()
    for script in re.findall(r"python3? ((?:tools|docs|benchmarks)/[\w/]+\.py)", commands):
        assert (ROOT / script).is_file(), script
    outside_code = FENCE.sub("", text)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", outside_code):
        if "://" not in target and not target.startswith("mailto:"):
            assert (document.parent / target).exists(), f"{name_of(document)} links to {target}"


EXAMPLES = """
import doctest, importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
names = [info.name for info in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
modules = [package, *(importlib.import_module(n) for n in names if not n.endswith("__main__"))]
sys.exit(any(doctest.testmod(module).failed for module in modules))
"""


@pytest.mark.parametrize("package", sorted(path.name for path in ROOT.glob("packages/*/src/*")))
def test_examples_in_docstrings_run(package: str, tmp_path: Path, forked) -> None:
    done = forked(EXAMPLES, tmp_path, package)
    assert done.returncode == 0, done.stdout + done.stderr


def test_architecture_shows_the_present_graph() -> None:
    drawn = subprocess.run(
        [sys.executable, "tools/graph.py", "--mermaid"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    for tree in ("en", "zh"):
        page = ROOT / "docs" / tree / "architecture.md"
        assert drawn in page.read_text(encoding="utf-8"), f"{name_of(page)}: paste this:\n{drawn}"
