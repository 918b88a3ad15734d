"""The library that a platform wheel brings: the common neurons, compiled ahead.

A wheel holds one library per level of the x86-64 instruction set; `build_shipped` makes them, from
`shipped_programs.json`. One is used only if it is as it was built, from the sources that are here,
and loads: what it asks for is the C library and `libgomp.so.1`, which torch brings. Everything else
is as if there were no library.
"""

from __future__ import annotations

import ctypes
import hashlib
from functools import cache
from pathlib import Path

from .compile_cpp import FLAGS, cpu_flags, intact
from .emit_cpp import prelude

__all__ = ["LEVELS", "kernel_name", "library_in", "library_name", "shipped_library", "version"]

# Levels as the System V ABI defines them, the best first, by the names that Linux gives to
# instruction sets: `abm` is LZCNT, `pni` is SSE3.
_V3 = frozenset((
    "pni", "ssse3", "sse4_1", "sse4_2", "popcnt", "cx16", "lahf_lm",
    "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe",
))  # fmt: skip
LEVELS = {
    "x86-64-v4": _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "x86-64-v3": _V3,
}

# What turns a program into C++.
_STAGES = ("graph.py", "differentiate.py", "cut.py", "plan.py", "emit.py", "emit_cpp.py")


def kernel_name(program: str, dtype: str) -> str:
    """Name of the kernels of a program, as a symbol."""
    return "sj_" + hashlib.sha256(f"{dtype}\n{program}".encode()).hexdigest()[:24]


def library_name(level: str) -> str:
    """Name of the file for one of `LEVELS`."""
    return f"shipped_{level.replace('-', '_')}.so"


@cache
def version() -> str:
    """What a library made from these sources exports, as a symbol.

    Raises:
        OSError: the sources are not there to be read.
    """
    digest = hashlib.sha256("\0".join((*FLAGS, prelude())).encode())
    for name in _STAGES:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return f"sj_shipped_{digest.hexdigest()[:24]}"


def library_in(folder: Path, flags: frozenset[str]) -> ctypes.CDLL | None:
    """The best usable library in `folder` for a processor with these instruction sets."""
    for level, needed in LEVELS.items():
        path = folder / library_name(level)
        if not (needed <= flags and path.is_file()):
            continue
        library = intact(path)
        try:
            if library is not None and hasattr(library, version()):
                return library
        except OSError:
            return None
    return None


@cache
def shipped_library() -> ctypes.CDLL | None:
    """The library in this installation for this processor; None if there is none to be used."""
    return library_in(Path(__file__).parent, cpu_flags())
