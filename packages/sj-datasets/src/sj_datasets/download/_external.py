"""7z and rar archives, and rare kinds of zip, through a program that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ..errors import FormatError
from ._unpacking import Unpacking, move_into

__all__ = ["TOOLS", "unpack"]

# Tried in this order; every one is told to ask nothing, no password either.
TOOLS: dict[str, tuple[str, ...]] = {
    "7zz": ("x", "-y", "-bd", "-p-", "-o{folder}", "{archive}"),
    "7z": ("x", "-y", "-bd", "-p-", "-o{folder}", "{archive}"),
    "unrar": ("x", "-y", "-o+", "-p-", "{archive}", "{folder}/"),
    "unar": ("-f", "-D", "-o", "{folder}", "{archive}"),
    "bsdtar": ("-x", "-f", "{archive}", "-C", "{folder}"),
}
_POLL_S = 0.5


def unpack(job: Unpacking) -> None:
    """Unpack by the first of :data:`TOOLS` that can.

    Raises:
        RuntimeError: none is installed.
        FormatError: none could, or the archive holds links that leave it or devices.
    """
    found = {name: path for name in TOOLS if (path := shutil.which(name))}
    if not found:
        raise RuntimeError(
            f"unpacking {job.source} needs one of the programs {', '.join(TOOLS)}; install one "
            "(apt install unar, brew install sevenzip, or https://www.7-zip.org)"
        )
    failures: list[str] = []
    for name, program in found.items():
        inner = Path(tempfile.mkdtemp(prefix=".tool-", dir=job.folder))
        failure = _run(job, program, TOOLS[name], inner)
        if failure is None:
            _check_tree(job, inner)
            move_into(inner, job.folder)
            shutil.rmtree(inner)
            return
        shutil.rmtree(inner)
        failures.append(f"{name}: {failure}")
    raise FormatError(
        job.source,
        f"cannot be unpacked ({'; '.join(failures)}); it is damaged, encrypted, lacks a part, or "
        f"these programs do not know it (others: {', '.join(TOOLS)})",
    )


def _run(job: Unpacking, program: str, arguments: tuple[str, ...], folder: Path) -> str | None:
    """Run a tool; returns what it complained about, ``None`` if it succeeded."""
    archive = job.source.absolute()
    command = [program, *(a.format(folder=folder, archive=archive) for a in arguments)]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _wait(job, process)
        finally:
            process.kill()
            process.wait()
        if process.returncode == 0:
            return None
        output.seek(0)
        lines = output.read()[-2000:].decode(errors="replace").strip().splitlines()
    telling = [line for line in lines if "error" in line.lower()] or lines[-1:]
    return telling[0].strip() if telling else f"exit status {process.returncode}"


def _wait(job: Unpacking, process: subprocess.Popen[bytes]) -> None:
    """Wait for the tool, and stop it when the disk loses more than the archive may hold."""
    while True:
        try:
            process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            job.check_total(job.free - shutil.disk_usage(job.folder).free)
        else:
            return


def _check_tree(job: Unpacking, folder: Path) -> None:
    root = folder.resolve()
    total = 0
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink():
                if not path.resolve().is_relative_to(root):
                    raise FormatError(job.source, f"the link {name!r} leaves the folder; refused")
            elif path.is_file():
                total += path.stat().st_size
            elif not path.is_dir():
                raise FormatError(job.source, f"{name!r} is a device or a pipe; refused")
    job.check_total(total)
