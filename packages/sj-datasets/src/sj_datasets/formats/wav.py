"""Sound in WAV files: RIFF chunks ``fmt `` and ``data``, little-endian, C channels interleaved.

Whole numbers of b bits become v / 2^(b-1), so they lie in [-1, 1); 8 bits are stored as v + 128.
Floating-point samples are kept as they are and may exceed [-1, 1].
"""

from __future__ import annotations

import operator
import os
import struct
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import FormatError
from ._binary import read_file, write_file

__all__ = ["read_wav", "write_wav"]

Encoding = Literal["pcm8", "pcm16", "pcm24", "pcm32", "float32"]
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_BITS = {"pcm8": 8, "pcm16": 16, "pcm24": 24, "pcm32": 32, "float32": 32}


def read_wav(path: str | os.PathLike[str], *, mono: bool = True) -> tuple[NDArray[np.float32], int]:
    """Samples as float32 and the sampling rate in Hz.

    Args:
        path: the recording: whole numbers of 8, 16, 24 or 32 bits, or floats of 32 or 64.
        mono: average the channels and return ``[N]``; ``False`` returns ``[N, C]``.

    Raises:
        FileNotFoundError: no such file.
        FormatError: no WAV file, a chunk that leaves the file, an unknown encoding, or samples
            that are no finite numbers.
    """
    data = read_file(path)
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise FormatError(path, "expected a RIFF file of type WAVE", 0)
    chunks = _chunks(path, data)
    if b"fmt " not in chunks or b"data" not in chunks:
        raise FormatError(path, "expected the chunks 'fmt ' and 'data'", 12)
    kind, channels, rate, block, bits = _format(path, data, *chunks[b"fmt "])
    start, size = chunks[b"data"]
    if size % block:
        raise FormatError(
            path, f"expected a multiple of {block} bytes of samples, got {size}", start
        )
    samples = _decode(np.frombuffer(data, np.uint8, size, start), kind, bits)
    if not np.isfinite(samples).all():
        raise FormatError(path, "expected finite samples, got NaN or infinity", start)
    samples = samples.reshape(-1, channels)
    if not mono:
        return samples, rate
    if channels == 1:
        return samples[:, 0], rate
    return samples.mean(axis=1, dtype=np.float32), rate


def _chunks(path: str | os.PathLike[str], data: bytes) -> dict[bytes, tuple[int, int]]:
    """Offset and size of the content of the first chunk of each name."""
    chunks: dict[bytes, tuple[int, int]] = {}
    offset = 12
    while offset + 8 <= len(data) and b"data" not in chunks:
        size = int.from_bytes(data[offset + 4 : offset + 8], "little")
        if offset + 8 + size > len(data):
            raise FormatError(
                path,
                f"expected a chunk of {size} bytes, the file ends after "
                f"{len(data) - offset - 8}; it is truncated",
                offset,
            )
        chunks.setdefault(data[offset : offset + 4], (offset + 8, size))
        offset += 8 + size + size % 2
    return chunks


def _format(
    path: str | os.PathLike[str], data: bytes, start: int, size: int
) -> tuple[int, int, int, int, int]:
    """Encoding, channels, rate, bytes per frame and bits per sample."""
    if size < 16:
        raise FormatError(path, f"expected at least 16 bytes of format, got {size}", start)
    kind, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", data, start)
    if kind == _EXTENSIBLE and size >= 40:
        (kind,) = struct.unpack_from("<H", data, start + 24)
    known = (kind == _PCM and bits in (8, 16, 24, 32)) or (kind == _FLOAT and bits in (32, 64))
    if not known or channels < 1 or rate < 1 or block != channels * bits // 8:
        raise FormatError(
            path,
            "expected whole numbers of 8, 16, 24 or 32 bits or floats of 32 or 64, got encoding "
            f"{kind} with {bits} bits, {channels} channels, {block} bytes per frame, {rate} Hz",
            start,
        )
    return kind, channels, rate, block, bits


def _decode(raw: NDArray[np.uint8], kind: int, bits: int) -> NDArray[np.float32]:
    if kind == _FLOAT:
        with np.errstate(over="ignore"):
            return raw.view(f"<f{bits // 8}").astype(np.float32)
    if bits == 8:
        return ((raw.astype(np.float32) - 128) / 128).astype(np.float32)
    if bits == 24:
        # the three bytes become the upper ones of 32 bits
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = raw.reshape(-1, 3)
        raw, bits = wide.reshape(-1), 32
    values = raw.view(f"<i{bits // 8}").astype(np.float64)
    return (values / 2.0 ** (bits - 1)).astype(np.float32)


def write_wav(
    path: str | os.PathLike[str],
    samples: ArrayLike,
    rate: int,
    *,
    encoding: Encoding = "pcm16",
) -> None:
    """Write a WAV file; ``path`` is replaced at the end.

    Args:
        path: the recording to write.
        samples: ``[N]`` or ``[N, C]`` in [-1, 1]; 1 becomes the largest whole number.
        rate: samples per second, in Hz.
        encoding: how samples are stored.

    Raises:
        ValueError: another shape, samples outside [-1, 1], or an unknown encoding.
        OSError: the folder is missing or not writable.
    """
    if encoding not in _BITS:
        raise ValueError(f"encoding must be one of {', '.join(_BITS)}, got {encoding!r}")
    rate = operator.index(rate)
    samples = np.asarray(samples, np.float64)
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not 1 <= samples.shape[1] < 4096):
        raise ValueError(f"samples must have shape [N] or [N, C], got {list(samples.shape)}")
    if samples.size * _BITS[encoding] // 8 >= 1 << 32:
        raise ValueError("a WAV file holds less than 4 GiB of samples")
    if not (np.abs(samples) <= 1).all():
        raise ValueError("samples must lie in [-1, 1]; divide by the largest magnitude first")
    if not 1 <= rate < 1 << 28:
        raise ValueError(f"rate must be positive and below 2^28 Hz, got {rate}")
    bits, channels = _BITS[encoding], 1 if samples.ndim == 1 else samples.shape[1]
    content = _encode(samples.reshape(-1), encoding, bits)
    block = channels * bits // 8
    kind = _FLOAT if encoding == "float32" else _PCM
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * block % (1 << 32), block, bits)
    padding = b"\0" * (len(content) % 2)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", len(content))
    total = len(body) + len(content) + len(padding)
    write_file(path, [b"RIFF", struct.pack("<I", total % (1 << 32)), body, content, padding])


def _encode(samples: NDArray[np.float64], encoding: Encoding, bits: int) -> bytes:
    if encoding == "float32":
        return samples.astype("<f4").tobytes()
    scale = 2.0 ** (bits - 1)
    values = np.minimum(np.rint(samples * scale), scale - 1).astype("<i4")
    if bits == 8:
        return (values + 128).astype(np.uint8).tobytes()
    if bits == 24:
        return values.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return values.astype(f"<i{bits // 8}").tobytes()
