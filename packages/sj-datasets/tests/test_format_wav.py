from __future__ import annotations

import struct
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.formats.wav import read_wav, write_wav

STEPS = {"pcm8": 2**7, "pcm16": 2**15, "pcm24": 2**23, "pcm32": 2**31}


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WAVE" + b"".join(
        n + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2) for n, c in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def form(kind: int, channels: int, bits: int, rate: int = 8000) -> bytes:
    block = channels * bits // 8
    return struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits)


@settings(max_examples=40)
@given(
    values=st.lists(st.integers(-128, 127), max_size=12),
    channels=st.integers(1, 3),
    encoding=st.sampled_from([*STEPS, "float32"]),
    rate=st.integers(1, 200_000),
)
def test_what_is_written_is_read(values, channels, encoding, rate, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round.wav"
    samples = np.array(values[: len(values) // channels * channels]).reshape(-1, channels) / 128
    write_wav(path, samples, rate, encoding=encoding)
    read, read_rate = read_wav(path, mono=False)
    assert read.dtype == np.float32
    assert read_rate == rate
    np.testing.assert_array_equal(read, samples)
    np.testing.assert_allclose(read_wav(path)[0], samples.mean(axis=1), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("encoding", STEPS)
def test_extremes_of_whole_numbers(encoding, tmp_path):
    write_wav(tmp_path / "a.wav", [-1, 1, 0], 8000, encoding=encoding)
    top = np.float32(1 - 1 / STEPS[encoding])
    assert read_wav(tmp_path / "a.wav")[0].tolist() == [-1, top, 0]


@pytest.mark.parametrize(("encoding", "width"), [("pcm8", 1), ("pcm16", 2), ("pcm24", 3)])
def test_the_standard_library_agrees(encoding, width, tmp_path):
    path = tmp_path / "a.wav"
    write_wav(path, [[0.5, -0.25]], 44100, encoding=encoding)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, width, 44100)
        content = file.readframes(10)
    path.unlink()
    with wave.open(str(path), "wb") as file:
        file.setparams((2, width, 44100, 0, "NONE", ""))
        file.writeframes(content)
    assert read_wav(path, mono=False)[0].tolist() == [[0.5, -0.25]]


def test_other_chunks_are_skipped_and_extensible_formats_read(tmp_path):
    extensible = form(0xFFFE, 1, 32) + struct.pack("<HHIH", 22, 32, 0, 3) + b"\0" * 14
    content = riff((b"LIST", b"odd"), (b"fmt ", extensible), (b"data", struct.pack("<f", 1.5)))
    (tmp_path / "a.wav").write_bytes(content)
    samples, rate = read_wav(tmp_path / "a.wav")
    assert (samples.tolist(), rate) == ([1.5], 8000)
    double = riff((b"fmt ", form(3, 1, 64)), (b"data", struct.pack("<d", -0.5)))
    (tmp_path / "a.wav").write_bytes(double)
    assert read_wav(tmp_path / "a.wav")[0].tolist() == [-0.5]


PCM = (b"fmt ", form(1, 1, 16))


@pytest.mark.parametrize(
    ("content", "offset", "message"),
    [
        (b"RIFX", 0, "RIFF file of type WAVE"),
        (riff(PCM), 12, "chunks 'fmt ' and 'data'"),
        (riff((b"data", b"")), 12, "chunks 'fmt ' and 'data'"),
        (riff(PCM, (b"data", b"1234"))[:-1], 36, "chunk of 4 bytes, the file ends after 3"),
        (riff(PCM, (b"data", b"123")), 44, "multiple of 2 bytes"),
        (riff((b"fmt ", b"1234"), (b"data", b"")), 20, "at least 16 bytes"),
        (riff((b"fmt ", form(2, 1, 4)), (b"data", b"")), 20, "got encoding 2 with 4 bits"),
        (riff((b"fmt ", form(1, 0, 16)), (b"data", b"")), 20, "0 channels"),
        (riff((b"fmt ", form(1, 1, 16, rate=0)), (b"data", b"")), 20, "0 Hz"),
        (riff((b"fmt ", form(3, 1, 32)), (b"data", b"\0\0\xc0\x7f")), 44, "NaN"),
        (riff((b"fmt ", form(3, 1, 64)), (b"data", struct.pack("<d", 1e300))), 44, "infinity"),
    ],
)
def test_broken_files_are_refused_where_they_break(content, offset, message, tmp_path):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(FormatError, match=message) as error:
        read_wav(tmp_path / "a.wav")
    assert error.value.offset == offset


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": [1.5]}, r"lie in \[-1, 1\]"),
        ({"samples": [np.nan]}, r"lie in \[-1, 1\]"),
        ({"samples": [[[0]]]}, r"shape \[N\] or \[N, C\], got \[1, 1, 1\]"),
        ({"samples": np.zeros((3, 0))}, r"got \[3, 0\]"),
        ({"samples": np.broadcast_to(0.0, 1 << 31)}, "less than 4 GiB"),
        ({"rate": 0}, "rate must be positive"),
        ({"encoding": "mp3"}, "pcm8, pcm16, .*got 'mp3'"),
    ],
)
def test_sound_that_the_format_cannot_hold_is_refused(arguments, message, tmp_path):
    arguments = {"samples": [0.0], "rate": 8000} | arguments
    with pytest.raises(ValueError, match=message):
        write_wav(tmp_path / "a.wav", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_wav(tmp_path / "none.wav")
