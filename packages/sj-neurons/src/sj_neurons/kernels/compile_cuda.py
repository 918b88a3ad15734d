"""From CUDA text to a kernel on a device, by NVRTC and a cache per user.

NVRTC is called through CuPy's binding of it and not through `cupy.RawModule`, which compiles with
`-ftz=true`: that would take numbers near 0 for 0, which torch does not.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch

from .compile_cpp import cache_folder
from .emit_cuda import OPTIONS

__all__ = ["function", "stream", "why_unavailable"]

_functions: dict[tuple[int, str, str], Any] = {}
_lock = threading.Lock()


@cache
def why_unavailable() -> str | None:
    """Why no CUDA kernel can run here, or None."""
    try:
        import cupy  # pyright: ignore[reportMissingImports]
    except ImportError:
        extra = "cuda12" if (torch.version.cuda or "13").startswith("12") else "cuda13"
        return f"CuPy is not installed: pip install 'sj-neurons[{extra}]'"
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA: install a build with it"
    if not torch.cuda.is_available() or not cupy.cuda.is_available():
        return "there is no CUDA device"
    return None


def _cuda() -> Any:
    import cupy.cuda  # pyright: ignore[reportMissingImports]

    return cupy.cuda


def function(device: int, source: str, name: str) -> Any:
    """The kernel `name` of `source` on the device with this index, compiled if need be.

    Raises:
        RuntimeError: NVRTC rejects the source, or a CUDA graph is being captured, during which
            nothing can be compiled.
    """
    key = (device, source, name)
    found = _functions.get(key)
    if found is not None:
        return found
    if torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            "backend='cupy' compiles a kernel when it is first needed, which cannot be done while "
            "a CUDA graph is captured: run the same call once before the capture"
        )
    with _lock, torch.cuda.device(device):
        if key not in _functions:
            module = _cuda().Module()
            module.load(_binary(source, _architecture(device)))
            _functions[key] = module.get_function(name)
        return _functions[key]


@cache
def stream(address: int) -> Any:
    """CuPy's view of a stream of torch."""
    return _cuda().Stream.from_external(_TorchStream(address))


class _TorchStream:
    """A stream as the CUDA stream protocol describes it."""

    def __init__(self, address: int) -> None:
        self.address = address

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.address


@cache
def _architecture(device: int) -> str:
    """What NVRTC is to compile for: the device itself, or the newest before it that it knows."""
    nvrtc = _cuda().nvrtc
    major, minor = torch.cuda.get_device_capability(device)
    own = 10 * major + minor
    known = sorted(nvrtc.getSupportedArchs())
    if own in known:
        return f"sm_{own}"
    older = [arch for arch in known if arch < own]
    if not older:
        raise RuntimeError(
            f"backend='cupy': NVRTC {'.'.join(map(str, nvrtc.getVersion()))} compiles for compute "
            f"capability {known[0] / 10} and newer; this GPU has {major}.{minor}"
        )
    return f"compute_{older[-1]}"


def _binary(source: str, architecture: str) -> bytes:
    """The compiled source, from the cache if it is there."""
    identity = (*map(str, _cuda().nvrtc.getVersion()), architecture, *OPTIONS, source)
    key = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:32]
    path = cache_folder() / f"{key}.cubin"
    with suppress(OSError):
        content = path.read_bytes()
        digest, binary = content[:32], content[32:]
        if hashlib.sha256(binary).digest() == digest:
            return binary
    binary = _compiled(source, architecture)
    with suppress(OSError):  # a folder that cannot be written to: compile again next time
        _write(path, hashlib.sha256(binary).digest() + binary)
    return binary


def _compiled(source: str, architecture: str) -> bytes:
    nvrtc = _cuda().nvrtc
    program = nvrtc.createProgram(source, "sj_neurons.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*OPTIONS, f"-arch={architecture}"))
        read = nvrtc.getCUBIN if architecture.startswith("sm_") else nvrtc.getPTX
        return bytes(read(program))
    except nvrtc.NVRTCError as error:
        log = nvrtc.getProgramLog(program)
        raise RuntimeError(f"backend='cupy': NVRTC fails on a kernel: {error}\n{log}") from error
    finally:
        nvrtc.destroyProgram(program)


def _write(path: Path, content: bytes) -> None:
    """Write a file that appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(suffix=".part", prefix=f".{path.stem}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
