"""From C++ text to a loaded library, by the system's compiler and a cache per user.

The cache holds one library per source, compiler, flags and processor; whatever changes one of them
makes another file. A library is written under a temporary name and renamed, so that a process that
is killed, or two that compile at once, leave nothing half-written; its last bytes are the digest of
the others, so that a damaged file is compiled anew instead of being loaded.

    SJ_NEURONS_CACHE   folder of the cache; by default sj_neurons/kernels in the user's cache folder
    CXX                compiler; by default the first of c++, g++, clang++
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

__all__ = ["FLAGS", "CompilerError", "cache_folder", "compile_library", "cpu_flags", "load"]

# -ffp-contract=off: a fused multiply-add rounds once where torch rounds twice.
# -fno-math-errno, -fno-trapping-math: change no value; without them nothing vectorises.
FLAGS = (
    "-std=c++17", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
    "-fPIC", "-shared",
)  # fmt: skip
OPENMP = "-fopenmp"
_TIMEOUT = 300  # seconds; a compiler that hangs must not hang the training
_STALE = 3600  # seconds after which a temporary file cannot belong to a living compilation
_MAGIC = b"sj_neurons kernels\x00\x01"

_lock = threading.Lock()


class CompilerError(RuntimeError):
    """No compiler, or one that fails; the text says which and how."""


def load(source: str) -> ctypes.CDLL:
    """The library that `source` compiles to, from the cache if it is there.

    Raises:
        CompilerError: there is no compiler, or it does not compile the source.
    """
    compiler = _compiler()
    if compiler is None:
        raise CompilerError(
            "no C++ compiler: install g++ or clang++, or name one in the environment variable CXX"
        )
    arch = _native()
    parts = ("\0".join(compiler), *_identity(compiler[0]), *FLAGS, OPENMP, arch, _cpu(), source)
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    with _lock:
        for folder in (cache_folder(), _private_folder()):
            path = folder / f"{key}.so"
            library = _intact(path)
            if library is not None:
                return library
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                compile_library(source, path, compiler, (arch,))
            except OSError:  # a folder that cannot be written to
                continue
            library = _intact(path)
            if library is not None:
                return library
    raise CompilerError(f"the library made by {compiler[0]} cannot be loaded")


def cache_folder() -> Path:
    """Where libraries are kept between processes."""
    if chosen := os.environ.get("SJ_NEURONS_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sj_neurons" / "kernels"


def compile_library(
    source: str, path: Path, compiler: Sequence[str], extra_flags: Sequence[str] = ()
) -> None:
    """Compile `source` into the library `path`, which appears complete or not at all.

    Raises:
        CompilerError: the compiler fails.
        OSError: the folder cannot be written to.
    """
    _remove_stale(path.parent)
    handle, name = tempfile.mkstemp(suffix=".cpp", prefix=f".{path.stem}.", dir=path.parent)
    text, made = Path(name), Path(name).with_suffix(".so.part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(source)
        command = [*compiler, *FLAGS, *extra_flags, str(text), "-o", str(made)]
        # without OpenMP (as Apple's clang comes) the kernels run on one thread
        error = _run([*command, OPENMP]) and _run(command)
        if error:
            raise CompilerError(f"{compiler[0]} failed: {error}")
        content = made.read_bytes()
        with made.open("ab") as file:
            file.write(_MAGIC + hashlib.sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(made, path)
    finally:
        for leftover in (text, made):
            leftover.unlink(missing_ok=True)


def _run(command: list[str]) -> str:
    """What the command complained about; nothing if it succeeded."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except OSError as error:
        return str(error)
    except subprocess.TimeoutExpired:
        return f"no result after {_TIMEOUT} s"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    telling = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")
    return f"{telling.strip()} (exit status {done.returncode})"


def _intact(path: Path) -> ctypes.CDLL | None:
    """The library at `path`, if it is there and as it was written."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    tail = len(_MAGIC) + 32
    body, magic, digest = content[:-tail], content[-tail:-32], content[-32:]
    if magic != _MAGIC or hashlib.sha256(body).digest() != digest:
        return None
    try:
        return ctypes.CDLL(str(path))
    except OSError:  # made on a system with other libraries
        return None


def _remove_stale(folder: Path) -> None:
    for path in folder.glob(".*.*"):
        try:
            if path.suffix in (".cpp", ".part") and time.time() - path.stat().st_mtime > _STALE:
                path.unlink()
        except OSError:
            continue


@cache
def _private_folder() -> Path:
    """A folder of this process alone, for when the cache cannot be written to."""
    folder = Path(tempfile.mkdtemp(prefix="sj_neurons_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _compiler() -> tuple[str, ...] | None:
    if chosen := os.environ.get("CXX"):
        command = shlex.split(chosen)
        found = shutil.which(command[0]) if command else None
        return (found, *command[1:]) if found else None
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return (found,)
    return None


def _identity(compiler: str) -> tuple[str, ...]:
    """What changes when the compiler is updated; cheaper than to ask for its version."""
    path = Path(compiler).resolve()
    status = path.stat()
    return (str(path), str(status.st_size), str(status.st_mtime_ns))


def _native() -> str:
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return "-march=native" if x86 else "-mcpu=native"


@cache
def cpu_flags() -> frozenset[str]:
    """Instruction sets of this processor, as Linux names them; empty elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


@cache
def _cpu() -> str:
    return " ".join((platform.machine(), platform.processor(), *sorted(cpu_flags())))
