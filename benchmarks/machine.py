"""The machine, the versions and the allocator that a measurement was made with."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

__all__ = ["ALLOCATORS", "allocator", "cpu", "restart_with", "versions"]

# By default the C library gets each large block from the system and gives it back at once, so that
# every use of a new tensor begins with page faults. It ignores MALLOC_MMAP_THRESHOLD_ above 32 MiB,
# hence the other two variables.
ALLOCATORS = {
    "kept": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "34359738368"},
    "hugepages": {"THP_MEM_ALLOC_ENABLE": "1"},
    "default": {},
}
_VARIABLES = sorted({name for settings in ALLOCATORS.values() for name in settings})
_TELLING_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")


def allocator() -> str:
    """Name of the present setting, or the variables where it has none."""
    present = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    named = (name for name, settings in ALLOCATORS.items() if settings == present)
    return next(named, " ".join(f"{name}={value}" for name, value in present.items()))


def environment(name: str) -> dict[str, str]:
    """The environment of this process with another allocator setting."""
    others = {key: value for key, value in os.environ.items() if key not in _VARIABLES}
    return others | ALLOCATORS[name]


def restart_with(name: str) -> None:
    """Run this command anew with the allocator setting `name`, unless it has it.

    The C library reads its settings when a process starts, so setting them later is no use.
    """
    if allocator() == name or not hasattr(os, "execve"):
        return
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.argv], environment(name))


def cpu() -> dict[str, object]:
    """The processor, as far as the system tells."""
    text = _read("/proc/cpuinfo")
    fields: dict[str, str] = {}
    for line in text.partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    described: dict[str, object] = {
        "model": fields.get("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "instructions": [flag for flag in _TELLING_FLAGS if flag in flags],
    }
    if "cpu family" in fields:
        described |= {"family": int(fields["cpu family"]), "number": int(fields["model"])}
    for level in (2, 3):
        if size := _read(f"/sys/devices/system/cpu/cpu0/cache/index{level}/size").strip():
            described[f"l{level}"] = size
    pages = _read("/sys/kernel/mm/transparent_hugepage/enabled")
    described["huge_pages"] = pages.partition("[")[2].partition("]")[0]
    return described


def load() -> float | None:
    """Programs that wanted a processor during the last minute, this one included."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Versions of Python, the compiler and the distributions that are installed."""
    found = {"python": platform.python_version(), "compiler": _compiler()}
    found["system"] = f"{platform.system()} {platform.machine()}, {' '.join(platform.libc_ver())}"
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _compiler() -> str:
    for name in ("c++", "g++", "clang++"):
        path = shutil.which(name)
        if path is not None:
            done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            return done.stdout.partition("\n")[0]
    return "none"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
