from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.events import Events
from sj_datasets.formats.es_imagenet import read_es_imagenet, write_es_imagenet


def test_brighter_and_darker_events_are_merged_by_time_in_stable_order(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, pos=[[1, 2, 3], [4, 5, 1], [6, 7, 3]], neg=[[8, 9, 1], [10, 11, 3]])
    assert read_es_imagenet(path).array.tolist() == [
        (1, 5, 4, 1),
        (1, 9, 8, 0),
        (3, 2, 1, 1),
        (3, 7, 6, 1),
        (3, 11, 10, 0),
    ]


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 8) | st.integers(0, 2**40),
            st.integers(0, 1),
            st.integers(0, 255),
            st.integers(0, 255),
        ),
        max_size=20,
    )
)
def test_what_is_written_is_read(rows, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round.npz"
    rows.sort(key=lambda row: (row[0], -row[1]))
    t, p, x, y = np.array(rows, np.int64).reshape(-1, 4).T
    events = Events.from_arrays(t, x, y, p, (256, 256))
    write_es_imagenet(path, events)
    assert read_es_imagenet(path) == events


def test_steps_are_stored_in_one_byte(tmp_path):
    write_es_imagenet(tmp_path / "a.npz", Events.from_arrays([1, 8], [3, 4], [5, 6], [1, 0]))
    with np.load(tmp_path / "a.npz") as arrays:
        assert {name: array.tolist() for name, array in arrays.items()} == {
            "pos": [[5, 3, 1]],
            "neg": [[6, 4, 8]],
        }
        assert arrays["pos"].dtype == np.uint8


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pos": [[1, 2, 3]]}, "an array 'neg', the archive has pos"),
        ({"pos": [[1, 2]], "neg": []}, r"'pos' of shape \[n, 3\], got \[1, 2\]"),
        ({"pos": [], "neg": [1, 2, 3]}, r"'neg' of shape \[n, 3\], got \[3\]"),
        ({"pos": [[0.5, 0, 0]], "neg": []}, "whole numbers in 'pos', got 0.5"),
        ({"pos": [[256, 0, 0]], "neg": []}, "256 rows and 256 columns, got x = 0, y = 256"),
        ({"pos": [[0, -1, 0]], "neg": []}, "x must lie in"),
    ],
)
def test_what_is_no_sample_is_refused(arrays, message, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(FormatError, match=message):
        read_es_imagenet(tmp_path / "a.npz")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"text")
    with pytest.raises(FormatError, match=r"byte 0: expected a \.npz file"):
        read_es_imagenet(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError):
        read_es_imagenet(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("t", "x", "message"), [([2, 1], [0, 0], "order of time"), ([1, 1], [0, 256], "up to 255")]
)
def test_events_that_the_format_cannot_hold_are_refused(t, x, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_es_imagenet(tmp_path / "a.npz", Events.from_arrays(t, x, [0, 0], [0, 0]))
    assert list(tmp_path.iterdir()) == []
