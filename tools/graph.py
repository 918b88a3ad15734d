"""The dependency graph of the packages: shown, drawn, or checked against what the code imports.

    python tools/graph.py              who may import whom, and which third-party packages
    python tools/graph.py --mermaid    the same between our packages, as a Mermaid flow chart
    python tools/graph.py --check      declared = imported, or a list of what to change

Rules of ``--check``, per package:
  - every import, also inside functions and under TYPE_CHECKING, is declared;
  - what only an extra declares is imported inside functions;
  - what is declared is imported somewhere;
  - the import contracts in the root pyproject forbid exactly what is not declared.
``[tool.graph]`` in the package's pyproject holds the exceptions, each with its reason:
``unimported = {distribution = "why"}``: declared only; ``undeclared = {import-name = "why"}``: used
if some other package brought it; ``eager = {module = "why"}``: imports an extra when it loads.
"""

from __future__ import annotations

import argparse
import ast
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workspace import ROOT, Package, Requirement, Workspace, normalise

__all__ = ["Import", "check", "imports_of", "mermaid", "text"]

IMPORT_NAMES = {
    "cupy-cuda12x": "cupy",
    "cupy-cuda13x": "cupy",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "opencv-python-headless": "cv2",
}
_BY_NAME = ("import_module", "find_spec", "require")  # calls that import what their text names


@dataclass(frozen=True)
class Import:
    """One imported top-level name: where it stands and whether loading the module runs it."""

    name: str
    path: Path
    line: int
    eager: bool


class _Collector(ast.NodeVisitor):
    """Finds imports and remembers whether they run when the module is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[Import] = []
        self._deferred = 0

    def _add(self, dotted: str, node: ast.stmt | ast.expr) -> None:
        name = dotted.partition(".")[0]
        self.found.append(Import(name, self.path, node.lineno, eager=not self._deferred))

    def _deferred_visit(self, nodes: Sequence[ast.AST]) -> None:
        self._deferred += 1
        for node in nodes:
            self.visit(node)
        self._deferred -= 1

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level == 0 and node.module:
            self._add(node.module, node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._deferred_visit(node.body)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._deferred_visit(node.body)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._deferred_visit([node.body])

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            self._deferred_visit(node.body)
            for other in node.orelse:
                self.visit(other)
        else:
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else None
        called = node.func.id if isinstance(node.func, ast.Name) else called
        first = node.args[0] if node.args else None
        if (
            called in _BY_NAME
            and isinstance(first, ast.Constant)
            and isinstance(first.value, str)
            and first.value.replace(".", "").isidentifier()
            and not first.value.startswith(".")
        ):
            self._add(first.value, node)
        self.generic_visit(node)


def imports_of(package: Package) -> Iterator[Import]:
    """What the package's sources import: no standard library, nothing of its own."""
    for path in sorted(package.source.rglob("*.py")):
        collector = _Collector(path)
        collector.visit(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
        for found in collector.found:
            if found.name not in sys.stdlib_module_names | {package.import_name, "__future__"}:
                yield found


def check(workspace: Workspace) -> list[str]:
    """One line per difference between the pyprojects and the sources; empty when equal."""
    lines = [line for package in workspace.packages.values() for line in _check(workspace, package)]
    return lines + list(_check_contracts(workspace))


def _check(workspace: Workspace, package: Package) -> Iterator[str]:
    pyproject = f"packages/{package.name}/pyproject.toml"
    core = {_import_name(r): r.name for r in package.core}
    extra = {_import_name(r): (r.name, name) for name, rs in package.extras.items() for r in rs}
    extra.pop(package.import_name, None)
    eager, undeclared = package.graph.get("eager", {}), package.graph.get("undeclared", {})
    waived: set[str] = set()
    seen: set[str] = set()
    for found in imports_of(package):
        seen.add(found.name)
        module = _module(package, found.path)
        where = f"{found.path.relative_to(workspace.root).as_posix()}:{found.line}"
        if found.name in core:
            continue
        if found.name not in extra and undeclared.get(found.name) and not found.eager:
            waived.add(found.name)
        elif found.name not in extra:
            yield (
                f"{where}: imports {found.name}, which {package.name} does not declare: add "
                f'"{_distribution(found.name)}" to the dependencies or an extra in {pyproject}'
            )
        elif found.eager and eager.get(module):
            waived.add(module)
        elif found.eager:
            name, group = extra[found.name]
            yield (
                f"{where}: imports {found.name} when the module loads, but {name} is only in the "
                f"extra {group!r}: import it inside the function that needs it"
            )
    for name in (eager.keys() | undeclared.keys()) - waived:
        yield f"{pyproject}: [tool.graph] holds {name}, which needs no exception: remove it"
    yield from _check_unimported(package, pyproject, seen)


def _check_unimported(package: Package, pyproject: str, seen: set[str]) -> Iterator[str]:
    waived = dict(package.graph.get("unimported", {}))
    declared = {r.name: r for r in package.requirements(package.extras)}
    declared.pop(package.name, None)
    for name, requirement in declared.items():
        reason = waived.pop(name, None)
        imported = _import_name(requirement) in seen
        if imported and reason is not None:
            yield f"{pyproject}: [tool.graph] unimported names {name}, which is imported: remove it"
        elif not imported and not reason:
            yield (
                f"{pyproject}: declares {name}, but no source imports it: remove it, or give the "
                f'reason as [tool.graph] unimported = {{ {name} = "..." }}'
            )
    for name in waived:
        yield f"{pyproject}: [tool.graph] unimported names {name}, which is not declared: remove it"


def _check_contracts(workspace: Workspace) -> Iterator[str]:
    """Compares the import contracts with what the packages declare of each other."""
    forbidden = forbidden_pairs(workspace.root)
    for source in workspace.packages.values():
        core, any_ = workspace.local(source.name), workspace.local(source.name, extras=True)
        for target in workspace.packages.values():
            banned = (source.import_name, target.import_name) in forbidden
            if target.name in core and banned:
                yield (
                    f"pyproject.toml: an import contract forbids {source.import_name} -> "
                    f"{target.import_name}, which {source.name} declares"
                )
            elif target.name not in any_ | {source.name} and not banned:
                yield (
                    f"pyproject.toml: no import contract forbids {source.import_name} -> "
                    f"{target.import_name}, which {source.name} does not declare"
                )


def forbidden_pairs(root: Path) -> set[tuple[str, str]]:
    """(importer, imported) pairs that ``[tool.importlinter]`` rules out."""
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    pairs: set[tuple[str, str]] = set()
    for contract in table["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "forbidden":
            targets = contract["forbidden_modules"]
            pairs |= {(s, t) for s in contract["source_modules"] for t in targets}
        elif contract["type"] == "layers":
            layers = [[m.strip() for m in layer.split("|")] for layer in contract["layers"]]
            for height, layer in enumerate(layers):
                not_below = [module for upper in layers[: height + 1] for module in upper]
                pairs |= {(s, t) for s in layer for t in not_below if s != t}
    return pairs


def text(workspace: Workspace) -> str:
    """The graph as a table in words, lowest package first."""
    lines: list[str] = []
    for name in workspace.order():
        package = workspace[name]
        lines.append(f"{name} {package.version}")
        lines.append(f"    needs {', '.join(r.text for r in package.core) or 'nothing'}")
        for extra, requirements in package.extras.items():
            lines.append(f"    [{extra}] {', '.join(r.text for r in requirements)}")
    return "\n".join(lines)


def mermaid(workspace: Workspace) -> str:
    """The graph between our packages as a Mermaid flow chart; dotted arrows are extras."""
    lines = ["flowchart TD"]
    for name in reversed(workspace.order()):
        core = workspace.local(name)
        for other in reversed(workspace.order()):
            if other in core:
                lines.append(f"    {name} --> {other}")
            elif other in workspace.local(name, extras=True):
                lines.append(f"    {name} -.-> {other}")
    return "\n".join(lines)


def _import_name(requirement: Requirement) -> str:
    return IMPORT_NAMES.get(requirement.name, requirement.name.replace("-", "_"))


def _distribution(import_name: str) -> str:
    for distribution, name in IMPORT_NAMES.items():
        if name == import_name:
            return distribution
    return normalise(import_name)


def _module(package: Package, path: Path) -> str:
    parts = path.relative_to(package.source.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def main() -> int:
    parser = argparse.ArgumentParser(description="Dependency graph of the packages.")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="compare imports and pyprojects")
    action.add_argument("--mermaid", action="store_true", help="print a Mermaid flow chart")
    parser.add_argument("--root", type=Path, default=ROOT, help="repository to look at")
    arguments = parser.parse_args()
    workspace = Workspace(arguments.root.resolve())
    if not arguments.check:
        print(mermaid(workspace) if arguments.mermaid else text(workspace))
        return 0
    differences = check(workspace)
    for line in differences:
        print(f"graph: {line}", file=sys.stderr)
    if not differences:
        print(f"graph: {len(workspace.packages)} packages declare what they import")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
