from __future__ import annotations

import contextlib
import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sj_datasets.errors import FormatError
from sj_datasets.formats.idx import read_idx, write_idx

few = settings(max_examples=40)

arrays = hnp.arrays(
    st.sampled_from(["u1", "i1", "<i2", ">i4", "<f4", ">f8"]),
    hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5),
)


@few
@given(array=arrays, suffix=st.sampled_from(["idx", "idx.gz"]))
def test_reading_gives_back_what_was_written(tmp_path_factory, array, suffix):
    path = tmp_path_factory.getbasetemp() / f"round_trip.{suffix}"
    write_idx(path, array)
    back = read_idx(path)
    assert back.dtype == array.dtype.newbyteorder("=")
    assert back.dtype.isnative
    np.testing.assert_array_equal(back, array)
    assert path.read_bytes().startswith(b"\x1f\x8b" if suffix.endswith("gz") else b"\0\0")


def test_the_layout_is_the_published_one(tmp_path):
    write_idx(tmp_path / "a", np.array([[1, 2, 3], [4, 5, 6]], np.int16))
    assert (tmp_path / "a").read_bytes() == struct.pack(">HBBII6h", 0, 11, 2, 2, 3, *range(1, 7))


def test_result_can_be_written_to(tmp_path):
    write_idx(tmp_path / "a", np.zeros(3, np.uint8))
    read_idx(tmp_path / "a")[0] = 1


HEADER = struct.pack(">HBBI", 0, 8, 1, 4)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("data", "message", "offset"),
    [
        (b"", "starts with", 0),
        (b"\0\0\x08", "starts with", 0),
        (b"\1\0\x08\1", "starts with", 0),
        (b"\0\0\x07\1" + bytes(8), "starts with", 0),
        (b"\0\0\x08\0" + bytes(8), "0 dimensions", 3),
        (b"\0\0\x08\xff" + bytes(8), "255 dimensions", 3),
        (b"\0\0\x08\2" + bytes(5), "before its 2 sizes", 9),
        (HEADER + b"abc", "3 are there", 11),
        (HEADER + b"abcde", "bytes follow", 12),
        (struct.pack(">HBBIII", 0, 14, 3, 2**31, 2**31, 2**31), "more than the file", 4),
        (struct.pack(">HBBIII", 0, 8, 3, 0, 2**32 - 1, 2**32 - 1), "more than the file", 4),
    ],
)
def test_damage_is_named(tmp_path, data, message, offset, packed):
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(FormatError, match=message) as error:
        read_idx(path)
    # in a small gzip file, a size that cannot be is found when the data end
    assert error.value.offset == offset or packed


@few
@given(cut=st.integers(2, 60), flip=st.integers(0, 255))
def test_damaged_gzip_never_gives_another_array(tmp_path_factory, cut, flip):
    path = tmp_path_factory.getbasetemp() / "damaged.gz"
    array = np.arange(50, dtype=np.uint8)
    write_idx(path, array)
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: min(cut, len(data) - 1)])
    with pytest.raises(FormatError):
        read_idx(path)
    data[min(cut, len(data) - 1)] ^= flip
    path.write_bytes(data)
    with contextlib.suppress(FormatError):
        np.testing.assert_array_equal(read_idx(path), array)


def test_what_the_format_cannot_hold_is_refused(tmp_path):
    with pytest.raises(TypeError, match="got int64"):
        write_idx(tmp_path / "a", np.arange(3))
    with pytest.raises(ValueError, match=r"1\.\.32 dimensions"):
        write_idx(tmp_path / "a", np.uint8(3))
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "none")
