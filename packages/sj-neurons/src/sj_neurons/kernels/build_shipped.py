"""Compiles the library that a platform wheel brings, see `shipped`.

Runs when a wheel is built, where neither torch nor this package is installed, and thus knows the
programs from `shipped_programs.json` alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .compile_cpp import OPENMP, CompilerError, compile_library, find_compiler
from .emit_cpp import cpp_source, prelude
from .plan import plan
from .shipped import LEVELS, kernel_name, library_name, version

__all__ = ["PROGRAMS", "build", "shipped_programs", "source"]

PROGRAMS = Path(__file__).with_name("shipped_programs.json")

# Without exceptions there is nothing of the C++ library to link. Neither names of local symbols
# nor a build id, so that equal sources make equal bytes.
_LINK_FLAGS = (
    "-fno-exceptions", "-fno-asynchronous-unwind-tables", "-s",
    "-Wl,--build-id=none", "-Wl,--as-needed", "-Wl,-z,noexecstack",
)  # fmt: skip
# A second OpenMP runtime beside torch's, or a C++ library that need not be there at run time.
_UNWANTED = (b"libomp.", b"libiomp", b"libstdc++", b"libc++")


def shipped_programs() -> list[tuple[str, str]]:
    """The pairs (program, dtype) that the library holds the kernels of."""
    table = json.loads(PROGRAMS.read_text(encoding="utf-8"))
    return [(program, dtype) for dtype, named in table.items() for program in named.values()]


def source() -> str:
    """The translation unit of the library."""
    kernels = [
        cpp_source(plan(program), dtype, kernel_name(program, dtype))
        for program, dtype in shipped_programs()
    ]
    mark = f'extern "C" const int {version()};\nconst int {version()} = 1;\n'
    return "\n".join((prelude(), mark, *kernels))


def build(folder: Path, compiler: Sequence[str] | None = None) -> list[Path]:
    """Compile the library for each level into `folder`.

    Args:
        folder: where the files go; nothing else may write there.
        compiler: command; by default as for any kernel, see `compile_cpp`.

    Raises:
        CompilerError: there is no compiler, it fails, or what it makes would not run everywhere.
        OSError: the folder cannot be written to.
    """
    command, text = compiler or find_compiler(), source()

    def compiled(level: str) -> Path:
        path = folder / library_name(level)
        compile_library(text, path, command, (f"-march={level}", OPENMP, *_LINK_FLAGS))
        _check(path, command[0])
        return path

    with ThreadPoolExecutor() as pool:
        return list(pool.map(compiled, LEVELS))


def _check(path: Path, compiler: str) -> None:
    content = path.read_bytes()
    found = [name.decode() for name in _UNWANTED if name in content]
    if b"libgomp.so.1\0" not in content or found:
        path.unlink()
        needed = ", ".join(found) or "no OpenMP runtime"
        raise CompilerError(
            f"{compiler} links {needed}, but torch brings libgomp.so.1: build with g++"
        )
