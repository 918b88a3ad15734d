from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from sj_datasets.errors import FormatError
from sj_datasets.formats._vlen import HeapFile, vlen_column

LENGTHS = (3, 0, 1, 5000, 2, 7, 300, 40)


def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 700, n).astype(np.uint16) for n in LENGTHS]


def write(path: Path, *, libver: str = "earliest", userblock: int = 0, **storage) -> None:
    with h5py.File(path, "w", libver=libver, userblock_size=userblock) as file:
        dataset = file.create_dataset(
            "a", (len(LENGTHS) + 1,), h5py.vlen_dtype(np.uint16), **storage
        )
        for i, array in enumerate(arrays()):  # the last one is never written
            dataset[i] = array


def column(path: Path):
    with h5py.File(path) as file:
        return vlen_column(HeapFile(path), file["a"], np.dtype(np.uint16))


@pytest.mark.parametrize(
    "storage",
    [
        {},
        {"libver": "latest"},
        {"chunks": (4,)},
        {"chunks": (4,), "maxshape": (None,)},
        {"chunks": (64,), "maxshape": (None,), "libver": "latest"},
    ],
    ids=str,
)
def test_arrays_are_those_of_the_library(tmp_path, storage):
    write(tmp_path / "a.h5", **storage)
    found = column(tmp_path / "a.h5")
    assert found is not None
    assert len(found) == 9
    for mine, theirs in zip([found[i] for i in range(9)], [*arrays(), []], strict=True):
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == np.uint16
        assert mine.flags.writeable


def test_other_storage_is_left_to_the_library(tmp_path):
    write(tmp_path / "packed.h5", chunks=(4,), compression="gzip")
    assert column(tmp_path / "packed.h5") is None
    write(tmp_path / "shifted.h5", userblock=512)
    assert column(tmp_path / "shifted.h5") is None


def test_nothing_was_ever_written(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (2,), h5py.vlen_dtype(np.uint16))
    found = column(tmp_path / "a.h5")
    assert found is not None
    assert found[1].tolist() == []


def heap_of(path: Path, length: int) -> tuple[int, bytes]:
    """Where the size of the array of that length stands, and the file."""
    data = path.read_bytes()
    return data.index((2 * length).to_bytes(8, "little"), data.index(b"GCOL")), data


@pytest.mark.parametrize(
    ("size", "message"),
    [(2**64 - 16, "leaves its heap"), (1 << 20, "leaves its heap"), (90, "80 bytes expected, 90")],
)
def test_a_wrong_size_in_a_heap_is_found(tmp_path, size, message):
    # the first of these makes the library itself search for ever
    path = tmp_path / "a.h5"
    write(path)
    place, data = heap_of(path, 40)
    path.write_bytes(data[:place] + size.to_bytes(8, "little") + data[place + 8 :])
    found = column(path)
    assert found is not None
    with pytest.raises(FormatError, match=message) as error:
        found[7]
    assert error.value.offset is not None


def test_a_lost_heap_is_found(tmp_path):
    path = tmp_path / "a.h5"
    write(path)
    path.write_bytes(path.read_bytes().replace(b"GCOL", b"gcol"))
    found = column(path)
    assert found is not None
    with pytest.raises(FormatError, match="expected a heap"):
        found[0]


def test_a_lost_number_is_found(tmp_path):
    path = tmp_path / "a.h5"
    write(path)
    place, data = heap_of(path, 40)
    changed = bytearray(data)
    changed[place - 8 : place - 6] = b"\xff\xff"
    path.write_bytes(changed)
    found = column(path)
    assert found is not None
    with pytest.raises(FormatError, match="has no array"):
        found[7]


def test_a_file_that_was_cut_meanwhile_is_told(tmp_path):
    path = tmp_path / "a.h5"
    write(path)
    found = column(path)
    assert found is not None
    with path.open("r+b") as file:
        file.truncate(600)
    with pytest.raises(FormatError, match="the file was cut"):
        found[3]
    with pytest.raises(FormatError, match="the file has 600"):
        HeapFile(path).read(599, 2)
