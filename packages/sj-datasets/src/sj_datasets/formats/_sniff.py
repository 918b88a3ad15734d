"""Telling the formats apart by the first bytes of a file, and by its suffix where they say nothing.

Two kinds of `.dat` files of 8-byte records differ in one place only: a NavGesture word has no bit
above its bit 49, so the upper halves of its words stay below 2^18, while in Prophesee's DAT that
holds only for darker events in rows 0 to 15.  A file whose first events all fit the former is
taken for NavGesture, unless its header speaks of CD events, which is Prophesee's word.  Without
`%` header lines a `.dat` file is taken for NavGesture if its first events fit that sensor, and for
nothing otherwise: give ``format="prophesee_dat"``.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ._binary import header_lines

__all__ = [
    "HEAD_SIZE",
    "is_aedat2",
    "is_aedat3",
    "is_aedat4",
    "is_asl_dvs",
    "is_atis",
    "is_bullying10k",
    "is_columns",
    "is_es_imagenet",
    "is_evt2",
    "is_evt3",
    "is_navgesture",
    "is_prophesee_dat",
]

HEAD_SIZE = 1 << 14
_NPY = b"\x93NUMPY"
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_MATLAB = (b"MATLAB 5.0", b"MATLAB 7.3", b"\x89HDF")


def is_atis(path: Path, head: bytes) -> bool:
    return path.suffix.lower() == ".bin"


def is_aedat2(path: Path, head: bytes) -> bool:
    return head.startswith(b"#!AER-DAT2.")


def is_aedat3(path: Path, head: bytes) -> bool:
    return head.startswith(b"#!AER-DAT3.")


def is_aedat4(path: Path, head: bytes) -> bool:
    return head.startswith(b"#!AER-DAT4.")


def is_evt2(path: Path, head: bytes) -> bool:
    return _names_version(head, "2")


def is_evt3(path: Path, head: bytes) -> bool:
    return _names_version(head, "3")


def is_prophesee_dat(path: Path, head: bytes) -> bool:
    if path.suffix.lower() != ".dat" or not head.startswith(b"%"):
        return False
    lines, _ = header_lines(head, b"%", "end")
    if any("CD events" in line for line in lines):
        return True
    upper = _upper_halves(head)
    return len(upper) == 0 or bool(upper.max() >= 1 << 18)


def is_navgesture(path: Path, head: bytes) -> bool:
    if path.suffix.lower() != ".dat":
        return False
    upper = _upper_halves(head)
    fits = (upper < 1 << 18) & ((upper & 0x1FF) < 304) & ((upper >> 9 & 0xFF) < 240)
    return len(upper) > 0 and bool(fits.all())


def is_asl_dvs(path: Path, head: bytes) -> bool:
    return head.startswith(_MATLAB[:2]) or (
        path.suffix.lower() == ".mat" and head.startswith(_MATLAB)
    )


def is_es_imagenet(path: Path, head: bytes) -> bool:
    return {"pos", "neg"} <= _array_names(path, head)


def is_columns(path: Path, head: bytes) -> bool:
    if head.startswith(_NPY):
        return re.search(rb"'descr':\s*\[", head[:256]) is not None
    return {"t", "x", "y", "p"} <= _array_names(path, head)


def is_bullying10k(path: Path, head: bytes) -> bool:
    return head.startswith(_NPY) and re.search(rb"'descr':\s*'\|?O'", head[:256]) is not None


def _names_version(head: bytes, version: str) -> bool:
    lines, _ = header_lines(head, b"%", "end")
    lines = [line.lower().replace(" ", "").replace(";", "") for line in lines]
    return any(line.startswith((f"evt{version}.", f"formatevt{version}")) for line in lines)


def _upper_halves(head: bytes) -> NDArray[np.uint32]:
    """The upper halves of the first 64-bit words after the header and its two bytes."""
    start = 0
    if head.startswith(b"%"):
        _, start = header_lines(head, b"%", "end")
        start += 2 if start else 0
    count = max(0, len(head) - start) // 8
    return np.frombuffer(head, "<u4", 2 * count, min(start, len(head)))[1::2]


def _array_names(path: Path, head: bytes) -> set[str]:
    if not head.startswith((_ZIP, _EMPTY_ZIP)):
        return set()
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return set()
