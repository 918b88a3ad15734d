"""Checked access to FlatBuffers."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sj_datasets.formats._flatbuffer import MalformedBuffer, root_table

# root 24; vtable at 12: size 12, table size 16, slots at 4, 8, 12 and an absent one;
# table at 24: number 7, distance to a string, distance to a vector
BUFFER = (
    struct.pack("<I4s4xHHHHHH", 24, b"TEST", 12, 16, 4, 8, 12, 0)
    + struct.pack("<iiII", 12, -7, 8, 12)
    + struct.pack("<I4s", 4, b"text")
    + struct.pack("<Ihh", 2, 5, -5)
)
INT16 = np.dtype("<i2")


def test_fields_are_read_by_slot() -> None:
    table = root_table(BUFFER, b"TEST")
    assert table.scalar(0, "<i", 0) == -7
    assert table.text(1) == "text"
    assert table.structs(2, INT16).tolist() == [5, -5]


@pytest.mark.parametrize("slot", [3, 4, 100])
def test_absent_fields_have_their_default(slot: int) -> None:
    table = root_table(BUFFER, b"TEST")
    assert table.scalar(slot, "<i", 3) == 3
    assert table.text(slot) == ""
    assert table.structs(slot, INT16).size == 0


def test_another_identifier_is_refused() -> None:
    with pytest.raises(MalformedBuffer, match="marked b'TEST', not b'ELSE'"):
        root_table(BUFFER, b"ELSE")


def test_a_vector_that_ends_outside_is_refused() -> None:
    with pytest.raises(MalformedBuffer, match="vector of 2 items"):
        root_table(BUFFER[:-1], b"TEST").structs(2, INT16)


@pytest.mark.parametrize("soffset", [25, -30])
def test_a_vtable_outside_the_buffer_is_refused(soffset: int) -> None:
    data = bytearray(BUFFER)
    struct.pack_into("<i", data, 24, soffset)
    with pytest.raises(MalformedBuffer, match="leads to byte"):
        root_table(bytes(data), b"TEST").scalar(0, "<i", 0)


@given(st.lists(st.tuples(st.integers(0, len(BUFFER) - 1), st.integers(0, 255)), max_size=8))
def test_damaged_buffers_give_values_or_an_error(patches: list[tuple[int, int]]) -> None:
    data = bytearray(BUFFER)
    for at, value in patches:
        data[at] = value
    try:
        table = root_table(bytes(data), b"TEST")
        table.scalar(0, "<i", 0)
        assert len(table.text(1)) <= len(data)
        assert table.structs(2, INT16).nbytes <= len(data)
    except MalformedBuffer:
        pass
