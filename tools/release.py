"""Releases one package: ``python tools/release.py PACKAGE {patch,minor,major} [--dry-run]``.

Sets the version, dates the changelog, moves the ranges of dependants that the new version
leaves, runs the tests of all of them and the build, commits and tags. Whatever fails, the tree
is left as it was. Uploading is a separate step by hand.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from versions import LEVELS, Version, contains, range_for
from workspace import ROOT, Package, Workspace

__all__ = ["Plan", "Refusal", "make_plan"]


class Refusal(Exception):
    """Why there can be no release; the text says what to do."""


@dataclass(frozen=True)
class Edit:
    """The new content of a file, and the change in a few words."""

    content: str
    what: str


@dataclass
class Plan:
    """Everything a release changes and runs, worked out before anything is touched."""

    package: str
    level: str
    old: Version
    new: Version
    notes: str
    previous_tag: str | None
    files: dict[Path, Edit] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)

    @property
    def tag(self) -> str:
        return f"{self.package}-v{self.new}"

    @property
    def message(self) -> str:
        return f"{self.package}: release {self.new}"

    @property
    def checks_api(self) -> bool:
        """Whether public names must all be there still: they were, and this step keeps them."""
        return self.previous_tag is not None and not self.old.may_break(self.level)


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise Refusal(f"git {shlex.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def make_plan(workspace: Workspace, name: str, level: str) -> Plan:
    """Works out the release of ``name``; raises Refusal if it cannot be."""
    if name not in workspace.packages:
        raise Refusal(f"no package {name!r}; there are {', '.join(workspace.packages)}")
    package = workspace[name]
    old = Version.parse(package.version)
    tags = git(workspace.root, "tag", "--list", f"{name}-v*", "--sort=-version:refname").split()
    plan = Plan(name, level, old, old.bump(level), "", tags[0] if tags else None)
    if plan.tag in tags:
        raise Refusal(f"the tag {plan.tag} exists already: bump further, or delete the tag")
    source = package.version_file.read_text(encoding="utf-8")
    line = f'__version__ = "{plan.new}"'
    content = re.sub(r"^__version__\s*=.*$", line, source, flags=re.MULTILINE)
    plan.files[package.version_file] = Edit(content, line)
    changelog = package.folder / "CHANGELOG.md"
    content, plan.notes = dated(changelog, str(plan.new))
    plan.files[changelog] = Edit(content, f"what is under Unreleased becomes {plan.new}")
    for other in workspace.order():
        plan_dependant(plan, workspace[other])
    tested = [name, *workspace.dependants(name)]
    plan.sessions = [*(f"tests({other})" for other in tested), "build"]
    return plan


def plan_dependant(plan: Plan, package: Package) -> None:
    """Moves the range by which ``package`` asks for the released one, where it must move."""
    needed = [r for r in package.requirements(package.extras) if r.name == plan.package]
    if package.name == plan.package or not needed:
        return
    outside = [r for r in needed if not contains(r.specifier, plan.new)]
    if not outside:
        plan.kept.append(f"{package.name} ({needed[0].text})")
        return
    path = package.folder / "pyproject.toml"
    content = path.read_text(encoding="utf-8")
    for requirement in outside:
        moved = requirement.text.replace(requirement.specifier, range_for(plan.new))
        content = content.replace(f'"{requirement.text}"', f'"{moved}"')
        plan.moved.append(f"{package.name}: {requirement.text} becomes {moved}")
    plan.files[path] = Edit(content, f"{plan.package}{range_for(plan.new)}")
    changelog = package.folder / "CHANGELOG.md"
    line = f"- Needs `{plan.package}{range_for(plan.new)}`."
    plan.files[changelog] = Edit(with_change(changelog, line), line)


def unreleased(changelog: Path) -> tuple[str, str, str]:
    """The changelog before, inside and after its Unreleased section."""
    content = changelog.read_text(encoding="utf-8")
    match = re.search(r"^## Unreleased\n(.*?)(?=^## |\Z)", content, re.MULTILINE | re.DOTALL)
    if match is None:
        raise Refusal(f"{changelog}: there is no section '## Unreleased'")
    return content[: match.start()], match[1], content[match.end() :]


def dated(changelog: Path, version: str) -> tuple[str, str]:
    """The changelog with its Unreleased notes under ``version``, and these notes."""
    before, notes, after = unreleased(changelog)
    if not re.search(r"^\s*[-*] \S", notes, re.MULTILINE):
        raise Refusal(f"{changelog}: nothing under '## Unreleased': write what changed first")
    title = f"## {version} - {datetime.date.today().isoformat()}"
    content = f"{before}## Unreleased\n\n{title}\n\n{notes.strip()}\n"
    return content + (f"\n{after}" if after else ""), notes.strip()


def with_change(changelog: Path, line: str) -> str:
    """The changelog with ``line`` under Unreleased, Changed."""
    before, notes, after = unreleased(changelog)
    heading = "### Changed\n"
    if heading in notes:
        start = notes.index(heading) + len(heading)
        notes = f"{notes[:start]}\n{line}\n{notes[start:].lstrip(chr(10))}"
    else:
        notes = f"\n{heading}\n{line}\n\n{notes.strip()}".rstrip() + "\n"
    return f"{before}## Unreleased\n{notes.rstrip()}\n" + (f"\n{after}" if after else "")


def describe(plan: Plan, root: Path) -> str:
    """The plan in words."""
    api = "no public name may have gone since " + str(plan.previous_tag)
    if plan.previous_tag is None:
        api = "no earlier tag, nothing to compare with"
    elif not plan.checks_api:
        api = f"not needed: {plan.level} may change public names"
    lines = [f"{plan.package} {plan.old} -> {plan.new} ({plan.level})", "", "files:"]
    lines += [f"  {p.relative_to(root).as_posix()}: {edit.what}" for p, edit in plan.files.items()]
    lines += ["", "changelog:", *(f"  {line}".rstrip() for line in plan.notes.splitlines())]
    lines += ["", "dependants whose range moves, so that each needs a release after this one:"]
    lines += [f"  {line}" for line in plan.moved] or ["  none"]
    lines += ["dependants whose range still fits, no release needed:"]
    lines += [f"  {line}" for line in plan.kept] or ["  none"]
    lines += ["", f"public names: {api}", "runs:"]
    lines += [f"  nox -s api -- {plan.package}"] if plan.checks_api else []
    lines += [f"  nox -s {shlex.join(plan.sessions)}".replace("'", '"')]
    lines += ["", f"commit: {plan.message}", f"tag: {plan.tag}"]
    return "\n".join(lines)


def nox_command() -> list[str] | None:
    """How nox is started here; None if it is not installed."""
    if importlib.util.find_spec("nox"):
        return [sys.executable, "-m", "nox"]
    found = shutil.which("nox")
    return [found] if found else None


def run_nox(root: Path, *arguments: str) -> bool:
    """Whether the sessions pass."""
    command = nox_command()
    if command is None:
        raise Refusal('nox is not installed: python -m pip install "nox[uv]"')
    return subprocess.run([*command, *arguments], cwd=root).returncode == 0


def check_api(plan: Plan, root: Path, *, dry_run: bool) -> None:
    """Refuses a step that promises to keep public names and does not."""
    if not plan.checks_api:
        return
    if dry_run and nox_command() is None:
        print("\nnox is not installed, so the public names were not compared")
        return
    if not run_nox(root, "-s", "api", "--", plan.package):
        raise Refusal(
            f"a {plan.level} release must keep the public names of {plan.previous_tag}, and `nox "
            "-s api` did not pass: bump further, or restore them"
        )


def carry_out(plan: Plan, root: Path, *, skip_checks: bool) -> None:
    """Edits, tests, commits and tags; on any failure everything is put back."""
    head = git(root, "rev-parse", "HEAD")
    originals = {path: path.read_bytes() for path in plan.files}
    try:
        for path, edit in plan.files.items():
            path.write_text(edit.content, encoding="utf-8", newline="\n")
        if not skip_checks and not run_nox(root, "-s", *plan.sessions):
            raise Refusal("the tests or the build failed: nothing was released")
        git(root, "commit", "--quiet", "-m", plan.message, "--", *map(str, plan.files))
        git(root, "tag", "--annotate", plan.tag, "-m", plan.message)
    except BaseException:
        if git(root, "rev-parse", "HEAD") != head:
            git(root, "reset", "--quiet", head)
        for path, content in originals.items():
            path.write_bytes(content)
        raise


def main() -> int:
    parser = argparse.ArgumentParser(description="Release one package.")
    parser.add_argument("package", help="its distribution name, e.g. sj-neurons")
    parser.add_argument("level", choices=LEVELS)
    parser.add_argument("--dry-run", action="store_true", help="show the plan, change nothing")
    parser.add_argument(
        "--skip-checks", action="store_true", help="no API comparison, no tests, no build"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="repository to release from")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    try:
        changed = git(root, "status", "--porcelain").splitlines()
        if changed and not arguments.dry_run:
            raise Refusal(f"commit or remove your changes first: {', '.join(changed[:5])}")
        plan = make_plan(Workspace(root), arguments.package, arguments.level)
        print(describe(plan, root), flush=True)
        if not arguments.skip_checks:
            check_api(plan, root, dry_run=arguments.dry_run)
        if arguments.dry_run:
            note = f"; {len(changed)} uncommitted changes would stop the real run" * bool(changed)
            print(f"\ndry run: nothing was changed{note}")
            return 0
        carry_out(plan, root, skip_checks=arguments.skip_checks)
    except (Refusal, ValueError, OSError) as problem:
        print(f"release: {problem}", file=sys.stderr)
        return 2
    print(f"\nreleased; now push: git push origin HEAD {plan.tag}")
    print("and upload the package's files from dist/, as docs/en/releasing.md says")
    print("dependants to release next: " + (", ".join(plan.moved) or "none"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
