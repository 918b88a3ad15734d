"""The packages of this repository, as their own pyproject files describe them."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "Package", "Requirement", "Workspace", "normalise"]

ROOT = Path(__file__).resolve().parent.parent
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?\s*([^;]*)(;.*)?")


def normalise(name: str) -> str:
    """The canonical spelling of a distribution name."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True)
class Requirement:
    """One declared dependency: ``name[extras]specifier; marker``."""

    name: str
    extras: frozenset[str]
    specifier: str
    text: str

    @classmethod
    def parse(cls, text: str) -> Requirement:
        match = _REQUIREMENT.fullmatch(text)
        if match is None:
            raise ValueError(f"cannot read the requirement {text!r}")
        extras = frozenset(e.strip() for e in (match[2] or "").split(",") if e.strip())
        return cls(normalise(match[1]), extras, match[3].strip(), text)


@dataclass(frozen=True)
class Package:
    """A folder below ``packages/``: what it is called, what it declares."""

    name: str
    folder: Path
    core: tuple[Requirement, ...]
    extras: dict[str, tuple[Requirement, ...]]
    test_group: tuple[Requirement, ...]
    build_requires: tuple[str, ...]
    scripts: tuple[str, ...]
    graph: dict[str, dict[str, str]]

    @classmethod
    def read(cls, pyproject: Path) -> Package:
        table = tomllib.loads(pyproject.read_text(encoding="utf-8"))
        project = table["project"]
        if project["name"] != pyproject.parent.name:
            raise ValueError(f"{pyproject}: name {project['name']!r} differs from its folder")
        return cls(
            name=project["name"],
            folder=pyproject.parent,
            core=_parse(project.get("dependencies", [])),
            extras={
                extra: _parse(texts)
                for extra, texts in project.get("optional-dependencies", {}).items()
            },
            test_group=_parse(group(table, "test")),
            build_requires=tuple(table["build-system"]["requires"]),
            scripts=tuple(project.get("scripts", {})),
            graph=table.get("tool", {}).get("graph", {}),
        )

    @property
    def import_name(self) -> str:
        return self.name.replace("-", "_")

    @property
    def source(self) -> Path:
        return self.folder / "src" / self.import_name

    @property
    def version_file(self) -> Path:
        return self.source / "__init__.py"

    @property
    def version(self) -> str:
        """``__version__`` as written in the package's ``__init__.py``."""
        for node in ast.parse(self.version_file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__":
                return str(ast.literal_eval(node.value))
        raise ValueError(f"{self.version_file}: no __version__")

    def requirements(self, extras: Iterable[str] = ()) -> Iterator[Requirement]:
        """The core requirements and those of the named extras."""
        yield from self.core
        for extra in extras:
            if extra not in self.extras:
                known = ", ".join(self.extras) or "none"
                raise ValueError(f"{self.name} has no extra {extra!r} (it has: {known})")
            yield from self.extras[extra]


class Workspace:
    """All packages below ``root/packages`` and the graph between them."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        found = (Package.read(path) for path in sorted(root.glob("packages/*/pyproject.toml")))
        self.packages: dict[str, Package] = {package.name: package for package in found}

    def __getitem__(self, name: str) -> Package:
        if name not in self.packages:
            raise KeyError(f"no package {name!r}; there are {', '.join(self.packages)}")
        return self.packages[name]

    def closure(self, requirements: Iterable[str | Requirement]) -> dict[str, set[str]]:
        """Local packages that ``requirements`` reach, lowest first, each with its extras.

        Third-party requirements are passed over; an extra brings its own dependencies in.
        """
        wanted: dict[str, set[str]] = {}
        queue = [Requirement.parse(r) if isinstance(r, str) else r for r in requirements]
        while queue:
            requirement = queue.pop()
            if requirement.name not in self.packages:
                continue
            new = requirement.extras - wanted.get(requirement.name, set())
            if requirement.name in wanted and not new:
                continue
            extras = wanted.setdefault(requirement.name, set())
            extras |= new
            queue += self.packages[requirement.name].requirements(extras)
        return {name: wanted[name] for name in self.order() if name in wanted}

    def order(self) -> list[str]:
        """All packages, each after everything it declares, extras included."""
        done: list[str] = []
        pending = dict(self.packages)
        while pending:
            ready = [n for n in pending if not (self.local(n, extras=True) - {n}) & pending.keys()]
            if not ready:
                raise ValueError(f"the packages depend on each other in a circle: {list(pending)}")
            done += ready
            for name in ready:
                del pending[name]
        return done

    def local(self, name: str, *, extras: bool = False) -> set[str]:
        """The local packages that ``name`` itself declares."""
        package = self.packages[name]
        declared = package.requirements(package.extras if extras else ())
        return {requirement.name for requirement in declared} & self.packages.keys()

    def dependants(self, name: str) -> list[str]:
        """Packages that reach ``name`` in any way, through extras too, lowest first."""
        reaching = {name}
        for other in self.order():
            if self.local(other, extras=True) & reaching:
                reaching.add(other)
        return [other for other in self.order() if other in reaching - {name}]

    def editable(self, requirements: Iterable[str | Requirement]) -> list[str]:
        """Installer arguments for the local part of ``requirements``, from the folders here."""
        arguments: list[str] = []
        for name, extras in self.closure(requirements).items():
            suffix = f"[{','.join(sorted(extras))}]" if extras else ""
            arguments += ["-e", f"packages/{name}{suffix}"]
        return arguments

    def third_party(self, requirements: Iterable[Requirement]) -> list[str]:
        """The texts of ``requirements`` that no package here provides."""
        return [r.text for r in requirements if r.name not in self.packages]


def group(table: dict[str, Any], name: str) -> list[str]:
    """A ``[dependency-groups]`` entry with its included groups; empty if absent."""
    texts: list[str] = []
    for entry in table.get("dependency-groups", {}).get(name, []):
        texts += group(table, entry["include-group"]) if isinstance(entry, dict) else [entry]
    return texts


def _parse(texts: Iterable[str]) -> tuple[Requirement, ...]:
    return tuple(Requirement.parse(text) for text in texts)
