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
import errno
import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = [
    "FLAGS", "CompilerError", "cache_folder", "compile_library", "cpu_flags", "find_compiler",
    "intact", "load",
]  # fmt: skip

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
_failures: dict[str, str] = {}  # why a library could not be made, by key: nothing is tried twice


class CompilerError(RuntimeError):
    """No compiler, or one that fails; the text says which and how."""


def load(source: str) -> ctypes.CDLL:
    """The library that `source` compiles to, from the cache if it is there.

    Raises:
        CompilerError: there is no compiler, or it does not compile the source.
    """
    compiler = find_compiler()
    arch = _native()
    parts = ("\0".join(compiler), *_identity(compiler[0]), *FLAGS, OPENMP, arch, _cpu(), source)
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    with _lock:
        if key in _failures:
            raise CompilerError(_failures[key])
        try:
            return _found_or_made(source, f"{key}.so", compiler, arch)
        except CompilerError as error:
            _failures[key] = str(error)
            raise


def _found_or_made(
    source: str, file_name: str, compiler: tuple[str, ...], arch: str
) -> ctypes.CDLL:
    """The library of this name in the cache, compiled now if need be."""
    reason = f"the library made by {compiler[0]} cannot be loaded"
    try:
        for folder in _folders():
            path = folder / file_name
            library = intact(path)
            if library is not None:
                return library
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                compile_library(source, path, compiler, (arch,))
            except OSError as error:  # a folder that cannot be written to
                reason = f"no folder for compiled kernels can be written to: {error}"
                continue
            library = intact(path)
            if library is not None:
                return library
    except OSError as error:  # not even a temporary folder
        reason = f"no folder for compiled kernels can be written to: {error}"
    raise CompilerError(reason)


def _folders() -> Iterator[Path]:
    """Where a library is looked for and put, in order; the last is made when it is asked for."""
    yield cache_folder()
    yield _private_folder()


def cache_folder() -> Path:
    """Where libraries are kept between processes."""
    if chosen := os.environ.get("SJ_NEURONS_CACHE"):
        return Path(chosen)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "sj_neurons" / "kernels"
    try:
        return Path.home() / ".cache" / "sj_neurons" / "kernels"
    except RuntimeError:  # a user without a home: what nobody can write to
        return Path(os.devnull, "sj_neurons")


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
        error = _run([*command, OPENMP])
        # without OpenMP (as Apple's clang comes) the kernels run on one thread
        if any(word in error.lower() for word in ("openmp", "gomp", "lomp")):
            error = _run(command)
        if "No space left" in error:
            raise OSError(errno.ENOSPC, error)
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
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            errors="replace", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return str(error)
    with process:
        try:
            _, complaint = process.communicate(timeout=_TIMEOUT)
        except BaseException as error:
            _kill_group(process)  # a compiler is several processes
            if isinstance(error, subprocess.TimeoutExpired):
                return f"no result after {_TIMEOUT} s"
            raise
    if process.returncode == 0:
        return ""
    lines = [line for line in complaint.splitlines() if line.strip()]
    telling = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")
    return f"{telling.strip()} (exit status {process.returncode})"


def _kill_group(process: subprocess.Popen[str]) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def intact(path: Path) -> ctypes.CDLL | None:
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


def find_compiler() -> tuple[str, ...]:
    """The compiler's command.

    Raises:
        CompilerError: there is none.
    """
    chosen = shlex.split(os.environ.get("CXX", ""))
    if chosen:
        if found := shutil.which(chosen[0]):
            return (found, *chosen[1:])
        raise CompilerError(f"no C++ compiler: CXX names {chosen[0]!r}, which is not there")
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return (found,)
    raise CompilerError(
        "no C++ compiler: install g++ or clang++, or name one in the environment variable CXX"
    )


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
    # platform.processor() would start a process; where flags are unknown the host stands for them
    return " ".join((platform.machine(), *(sorted(cpu_flags()) or (platform.node(),))))
