"""LZ4 and Zstandard frames."""

from __future__ import annotations

import contextlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sj_datasets.formats._compression import MalformedFrame, compress, decompress

METHODS = ["lz4", "zstd"]
CONTENT = bytes(range(256)) * 40


@pytest.mark.parametrize("method", ["none", *METHODS])
@pytest.mark.parametrize("content", [b"", b"a", CONTENT])
def test_compressing_and_decompressing_is_the_identity(method: str, content: bytes) -> None:
    assert decompress(compress(content, method), method, len(content)) == content


@pytest.mark.parametrize("method", METHODS)
def test_incomplete_frames_are_refused(method: str) -> None:
    frame = compress(CONTENT, method)
    for cut in (0, 1, 7, len(frame) - 1):
        with pytest.raises(MalformedFrame):
            decompress(frame[:cut], method, 1 << 20)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("more", [b"x", bytes(5000)])
def test_bytes_after_the_frame_are_refused(method: str, more: bytes) -> None:
    with pytest.raises(MalformedFrame, match="follow"):
        decompress(compress(CONTENT, method) + more, method, 1 << 20)


@pytest.mark.parametrize("method", METHODS)
def test_content_beyond_the_limit_is_refused(method: str) -> None:
    frame = compress(bytes(1 << 22), method)
    with pytest.raises(MalformedFrame, match="grows beyond 1000 bytes"):
        decompress(frame, method, 1000)


@pytest.mark.parametrize(("method", "module"), [("lz4", "lz4.frame"), ("zstd", "zstandard")])
def test_a_missing_library_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, method: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"sj-datasets\[decoders\]"):
        compress(b"a", method)
    with pytest.raises(ImportError, match=r"sj-datasets\[decoders\]"):
        decompress(b"a", method, 10)


@given(st.sampled_from(METHODS), st.binary(max_size=40))
def test_any_bytes_give_content_or_an_error(method: str, data: bytes) -> None:
    with contextlib.suppress(MalformedFrame):
        assert len(decompress(data, method, 1000)) <= 1000
