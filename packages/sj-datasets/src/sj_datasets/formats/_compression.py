"""LZ4 and Zstandard frames, decompressed without trusting their word about the size."""

from __future__ import annotations

from typing import Any

__all__ = ["MalformedFrame", "compress", "decompress"]

# One Zstandard block of 4 bytes can grow to 128 KiB, so small pieces keep the growth in hand.
_PIECE = 1024


class MalformedFrame(ValueError):
    """A frame is damaged, incomplete or grows beyond what is allowed."""


def compress(data: bytes, method: str) -> bytes:
    """``data`` as one frame of ``"lz4"`` or ``"zstd"``, or as it is for ``"none"``."""
    if method == "none":
        return data
    if method == "lz4":
        return _lz4().compress(data)
    return _zstandard().ZstdCompressor().compress(data)


def decompress(frame: bytes, method: str, most: int) -> bytes:
    """The content of one frame, of at most ``most`` bytes.

    Raises:
        MalformedFrame: a damaged or incomplete frame, bytes after it, or too large a content.
        ImportError: the extra `decoders` is not installed.
    """
    if method == "none":
        return frame
    if method == "lz4":
        decompressor = _lz4().LZ4FrameDecompressor()
        try:
            content = decompressor.decompress(frame, max_length=most + 1)
        except (RuntimeError, EOFError) as error:
            raise MalformedFrame(f"LZ4: {error}") from None
    else:
        decompressor = _zstandard().ZstdDecompressor().decompressobj()
        content = _zstd_content(decompressor, frame, most)
    if len(content) > most:
        raise MalformedFrame(f"it grows beyond {most} bytes")
    if not decompressor.eof or decompressor.unused_data:
        raise MalformedFrame("it is incomplete, or bytes follow it")
    return content


def _zstd_content(decompressor: Any, frame: bytes, most: int) -> bytes:
    parts: list[bytes] = []
    size = start = 0
    try:
        while start < len(frame) and not decompressor.eof and size <= most:
            parts.append(decompressor.decompress(frame[start : start + _PIECE]))
            size += len(parts[-1])
            start += _PIECE
    except _zstandard().ZstdError as error:
        raise MalformedFrame(f"Zstandard: {error}") from None
    if decompressor.eof and start < len(frame):
        raise MalformedFrame("bytes follow it")
    return b"".join(parts)


def _lz4() -> Any:
    try:
        import lz4.frame
    except ImportError as error:
        raise ImportError("LZ4 needs the extra: pip install 'sj-datasets[decoders]'") from error
    return lz4.frame


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError as error:
        raise ImportError(
            "Zstandard needs the extra: pip install 'sj-datasets[decoders]'"
        ) from error
    return zstandard
