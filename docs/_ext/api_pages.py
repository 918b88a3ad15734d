"""Writes one page per public module to docs/api/generated before Sphinx reads its sources.

A page documents what its module defines and lists what it re-exports, so that every name has
exactly one home. Modules are found by file name: nothing is imported here.
"""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from workspace import Package, Workspace  # noqa: E402

AUTOMODULE = """\
.. automodule:: {module}
   :members:
   :ignore-module-all:
   :show-inheritance:
"""


def public_modules(package: Package) -> dict[str, Path]:
    """Module name -> file, parents before children; names with a leading underscore are private."""
    modules: dict[str, Path] = {}
    for path in sorted(package.source.rglob("*.py")):
        parts = path.relative_to(package.source.parent).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            modules[".".join(parts)] = path
    return dict(sorted(modules.items()))


def exported(path: Path) -> list[str]:
    """The names in the ``__all__`` of a package's ``__init__.py`` that come from elsewhere."""
    if path.name != "__init__.py":
        return []
    names: list[str] = []
    defined: set[str] = set()
    imported: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = [
                e.value for e in getattr(node.value, "elts", []) if isinstance(e, ast.Constant)
            ]
    submodules = {child.stem for child in path.parent.iterdir()}  # these have their own pages
    defined |= submodules - imported  # but a name may be that of a module and of what it defines
    return [name for name in names if name not in defined and not name.startswith("_")]


def page(module: str, path: Path, children: list[str]) -> str:
    """The reStructuredText of one module's page."""
    blocks = [f"{module}\n{'=' * len(module)}\n", AUTOMODULE.format(module=module)]
    if names := exported(path):
        blocks.append(f"Also importable from here: {', '.join(f'``{name}``' for name in names)}.\n")
    if children:
        entries = "".join(f"   {child}\n" for child in children)
        blocks.append(f".. toctree::\n   :maxdepth: 1\n\n{entries}")
    return "\n".join(blocks)


def write_pages(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "api" / "generated"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for package in Workspace(ROOT).packages.values():
        modules = public_modules(package)
        for module, path in modules.items():
            children = [m for m in modules if m.rpartition(".")[0] == module]
            content = page(module, path, children)
            (folder / f"{module}.rst").write_text(content, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
