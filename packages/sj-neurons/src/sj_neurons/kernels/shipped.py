"""The library that a platform wheel brings: the common neurons, compiled ahead."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

from .compile_cpp import cpu_flags

__all__ = ["shipped_library"]

_V3 = frozenset(("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"))
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}


@cache
def shipped_library() -> ctypes.CDLL | None:
    """The best library for this processor among those in the wheel, if there is one."""
    for level, needed in (("v4", _V4), ("v3", _V3)):
        path = Path(__file__).with_name(f"shipped_x86_64_{level}.so")
        if needed <= cpu_flags() and path.exists():
            try:
                return ctypes.CDLL(str(path))
            except OSError:
                continue
    return None
