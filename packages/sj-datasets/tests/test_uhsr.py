from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.spike_camera import read_uhsr, write_uhsr

T = 3


@pytest.fixture
def spikes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (T, 250, 250), dtype=np.uint8)


def npz(path: Path, **columns: object) -> Path:
    """A UHSR file, apart from what is given; None leaves an array out."""
    members: dict[str, object] = {
        "spk": np.zeros((T, 250, 250), np.uint8),
        "label": np.int64(1),
        "label_name": np.str_("a"),
    }
    members.update(columns)
    with path.open("wb") as file:
        np.savez_compressed(file, **{k: v for k, v in members.items() if v is not None})
    return path


def test_writing_then_reading_is_the_identity(tmp_path, spikes):
    write_uhsr(tmp_path / "a.npz", spikes, 47, "4144_helicopter.jpg")
    read, label, label_name = read_uhsr(tmp_path / "a.npz", crop=False)
    np.testing.assert_array_equal(read, spikes)
    assert read.dtype == np.uint8
    assert (label, label_name) == (47, "4144_helicopter.jpg")


def test_the_picture_is_the_centre(tmp_path, spikes):
    write_uhsr(tmp_path / "a.npz", spikes.astype(bool))
    read = read_uhsr(tmp_path / "a.npz").spikes
    np.testing.assert_array_equal(read, spikes[:, 13:237, 13:237])
    assert read.flags.c_contiguous


def test_column_order_and_booleans_are_read(tmp_path, spikes):
    path = npz(tmp_path / "a.npz", spk=np.asfortranarray(spikes.astype(bool)))
    np.testing.assert_array_equal(read_uhsr(path, crop=False).spikes, spikes)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"spk": None}, "spk"),
        ({"label_name": None}, "label_name"),
        ({"spk": np.zeros((T, 250, 240), np.uint8)}, r"\[T, 250, 250\], got \[3, 250, 240\]"),
        ({"spk": np.zeros((250, 250), np.uint8)}, r"\[T, 250, 250\]"),
        ({"spk": np.full((T, 250, 250), 2, np.uint8)}, "0 and 1"),
        ({"spk": np.zeros((T, 250, 250), np.float32)}, "dtype float32"),
        ({"label": np.zeros(3, np.int64)}, "one integer"),
        ({"label": np.float32(1)}, "one integer"),
        ({"label_name": np.array(["a", "b"])}, "one string"),
        ({"label_name": np.array("a", object)}, "pickled"),
        ({"spk": np.zeros((1100, 250, 250), np.uint8)}, "unpacks to 68750128 bytes"),
    ],
)
def test_other_contents_are_format_errors(tmp_path, columns, message):
    path = npz(tmp_path / "a.npz", **columns)
    with pytest.raises(FormatError, match=message) as caught:
        read_uhsr(path)
    assert str(path) in str(caught.value)


def test_a_header_may_not_promise_more_than_there_is(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_2_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 250, 250)}
    )
    path = npz(tmp_path / "a.npz", spk=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("spk.npy", header.getvalue() + b"\0" * 100)
    with pytest.raises(FormatError, match="promises 62500000000000 bytes, 100 follow"):
        read_uhsr(path)
    with zipfile.ZipFile(npz(path, spk=None), "a") as archive:
        archive.writestr("spk.npy", b"\x93NUMPY\x07\x00" + b"\0" * 100)
    with pytest.raises(FormatError, match=r"\(7, 0\)|version 7"):
        read_uhsr(path)


def test_files_that_are_no_archives(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_uhsr(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"")
    with pytest.raises(FormatError, match=r"expected an \.npz file"):
        read_uhsr(tmp_path / "a.npz")


SAMPLE = io.BytesIO()
np.savez_compressed(
    SAMPLE, spk=np.eye(250, dtype=np.uint8)[None], label=np.int64(1), label_name=np.str_("a")
)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_corrupt_bytes_are_format_errors_or_read(tmp_path_factory, data):
    raw = bytearray(SAMPLE.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("uhsr") / "a.npz"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        recording = read_uhsr(path)
    except FormatError:
        return
    assert recording.spikes.shape[1:] == (224, 224)


@pytest.mark.parametrize(
    ("bad", "message"),
    [(np.zeros((T, 25, 25)), r"\[T, 250, 250\]"), (np.full((1, 250, 250), 2), "0 or 1, got 2")],
)
def test_bad_spikes_are_not_written(tmp_path, bad, message):
    with pytest.raises(ValueError, match=message):
        write_uhsr(tmp_path / "a.npz", bad)
    assert not list(tmp_path.iterdir())
