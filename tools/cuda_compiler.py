"""What turns CUDA text into machine code on a machine without a GPU: NVRTC, or nvcc."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from ctypes.util import find_library
from functools import lru_cache
from pathlib import Path

__all__ = ["Nvcc", "Nvrtc", "compiler"]


def find_nvrtc() -> Path | None:
    """NVRTC's library: from a wheel, or where the system finds it."""
    for folder in map(Path, sys.path):
        for path in sorted(folder.glob("nvidia/*/lib/libnvrtc.so.*")):
            if "alt" not in path.name:
                return path
    name = find_library("nvrtc")
    return Path(name) if name else None


class Nvrtc:
    """NVRTC, called in this process."""

    def __init__(self, path: Path) -> None:
        self.library = ctypes.CDLL(str(path))

    def version(self) -> str:
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        return f"NVRTC {major.value}.{minor.value}"

    def compile(self, text: str, arch: str, options: Sequence[str]) -> tuple[bool, str]:
        """Whether `text` compiles, and what the compiler says."""
        program = ctypes.c_void_p()
        wanted = [*options, f"-arch={arch}", "--ptxas-options=-v"]
        encoded = (ctypes.c_char_p * len(wanted))(*(option.encode() for option in wanted))
        call = self.library
        call.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"sj.cu", 0, None, None)
        try:
            failed = call.nvrtcCompileProgram(program, len(wanted), encoded)
            size = ctypes.c_size_t()
            call.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            log = ctypes.create_string_buffer(size.value)
            call.nvrtcGetProgramLog(program, log)
            return failed == 0, log.value.decode(errors="replace")
        finally:
            call.nvrtcDestroyProgram(ctypes.byref(program))


class Nvcc:
    """The compiler driver of a CUDA toolkit."""

    def __init__(self, path: str) -> None:
        self.path = path

    def version(self) -> str:
        text = subprocess.run([self.path, "--version"], capture_output=True, text=True).stdout
        found = re.search(r"release ([\d.]+)", text)
        return f"nvcc {found[1] if found else '(unknown version)'}"

    def compile(self, text: str, arch: str, options: Sequence[str]) -> tuple[bool, str]:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "sj.cu"
            source.write_text(text, encoding="utf-8")
            command = [self.path, *options, f"-arch={arch}", "--cubin", "-Xptxas=-v"]
            command += ["-o", str(source.with_suffix(".cubin")), str(source)]
            done = subprocess.run(command, capture_output=True, text=True)
            return done.returncode == 0, (done.stdout + done.stderr).replace(folder, "")


@lru_cache(maxsize=1)
def compiler() -> Nvrtc | Nvcc | None:
    """NVRTC, else nvcc, else None."""
    found = find_nvrtc()
    if found is not None:
        return Nvrtc(found)
    path = shutil.which("nvcc")
    return None if path is None else Nvcc(path)
