from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import sys

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.errors import FormatError
from sj_datasets.formats.spike_trains import SpikeTrainFile, write_spike_trains

TRAINS = [
    (np.array([0.0, 0.25, 0.5], np.float16), np.array([0, 699, 3], np.uint16)),
    (np.array([], np.float16), np.array([], np.uint16)),
    (np.array([1.5], np.float16), np.array([7], np.uint16)),
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "shd_test.h5"
    write_spike_trains(path, TRAINS, [3, 0, 19], speakers=[1, 2, 1], keys=["zero", "null"])
    return path


trains = st.lists(
    st.lists(st.tuples(st.floats(0, 2, width=16), st.integers(0, 699)), max_size=8), max_size=5
)


@settings(max_examples=25)
@given(rows=trains)
def test_reading_gives_back_what_was_written(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "round_trip.h5"
    path.unlink(missing_ok=True)
    written = [
        (np.array([t for t, _ in row], np.float16), np.array([x for _, x in row], np.uint16))
        for row in rows
    ]
    write_spike_trains(path, written, np.arange(len(rows)))
    with SpikeTrainFile(path) as file:
        assert len(file) == len(rows)
        assert file.labels.tolist() == list(range(len(rows)))
        for (t, x), (t_read, x_read) in zip(written, file, strict=True):
            np.testing.assert_array_equal(t_read, t)
            np.testing.assert_array_equal(x_read, x)
            assert (t_read.dtype, x_read.dtype) == (np.float16, np.uint16)


def test_labels_speakers_and_names_are_read_at_once(path):
    file = SpikeTrainFile(path)
    assert file.labels.tolist() == [3, 0, 19]
    assert file.speakers is not None
    assert file.speakers.tolist() == [1, 2, 1]
    assert file.keys == ("zero", "null")
    assert repr(file) == f"SpikeTrainFile({str(path)!r}, samples=3)"


def test_extras_may_be_missing(path):
    with h5py.File(path, "a") as file:
        del file["extra"]
    file = SpikeTrainFile(path)
    assert (file.speakers, file.keys) == (None, None)
    np.testing.assert_array_equal(file[-1][1], [7])


def test_indices_outside_are_errors(path):
    file = SpikeTrainFile(path)
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"sample {index} .* has 3"):
            file[index]


def test_pickles_hold_no_open_file(path):
    file = SpikeTrainFile(path)
    file[0]
    data = pickle.dumps(file)
    assert len(data) < 2000
    np.testing.assert_array_equal(pickle.loads(data)[0][1], TRAINS[0][1])


def test_closing_is_no_end(path):
    file = SpikeTrainFile(path)
    file[0]
    file.close()
    file.close()
    assert file[2][0].tolist() == [1.5]


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_opens_the_file_for_itself(path):
    file = SpikeTrainFile(path)
    file[0]
    pid = os.fork()
    if pid == 0:
        read = [file[0][1].tolist() == [0, 699, 3], file[2][0].tolist() == [1.5]]
        os._exit(0 if all(read) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    np.testing.assert_array_equal(file[0][1], TRAINS[0][1])


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        SpikeTrainFile(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(FormatError, match="not a complete HDF5 file"):
        SpikeTrainFile(tmp_path / "text.h5")


def test_every_truncation_is_found(path, tmp_path):
    data = path.read_bytes()
    for k, cut in enumerate(np.linspace(0, len(data) - 1, 20).astype(int)):
        short = tmp_path / f"{k}.h5"
        short.write_bytes(data[:cut])
        with pytest.raises(FormatError):
            list(SpikeTrainFile(short))


def replace(name, **dataset):
    def change(file):
        del file[name]
        if dataset:
            file.create_dataset(name, **dataset)

    return change


def shorten(name):
    return lambda file: replace(name, data=file[name][:2], dtype=file[name].dtype)(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace("spikes/times"), "no dataset 'spikes/times'"),
        (replace("spikes"), "no dataset 'spikes/times'"),
        (replace("labels"), "no dataset 'labels'"),
        (replace("labels", data=np.zeros((3, 1), int)), "one-dimensional"),
        (replace("labels", data=np.zeros(3)), "whole numbers"),
        (replace("labels", data=np.zeros(2, int)), "3 samples, labels has 2"),
        (shorten("spikes/times"), "2 trains of times but 3 of units"),
        (shorten("extra/speaker"), "speaker has 2 samples"),
        (replace("spikes/units", data=np.zeros(3, int)), "arrays of whole numbers"),
        (
            replace("spikes/times", shape=(3,), dtype=h5py.vlen_dtype(np.int32)),
            "arrays of real numbers",
        ),
    ],
)
def test_wrong_layouts_are_named(path, change, message):
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(FormatError, match=message):
        SpikeTrainFile(path)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("units", [1, 2], "3 spike times and 2 units"),
        ("units", [1, 2, 700], "unit 700, expected 0..699"),
        ("times", [0.0, np.inf, 1.0], "not finite"),
    ],
)
def test_wrong_samples_are_named_when_read(path, name, values, message):
    with h5py.File(path, "a") as file:
        file[f"spikes/{name}"][0] = np.array(values, file[f"spikes/{name}"].dtype.metadata["vlen"])
    file = SpikeTrainFile(path)
    with pytest.raises(FormatError, match=message):
        file[0]
    assert file[2][1].tolist() == [7]


def test_negative_units_are_refused(tmp_path, path):
    with h5py.File(path, "a") as file:
        del file["spikes/units"]
        units = file.create_dataset("spikes/units", (3,), h5py.vlen_dtype(np.int32))
        units[2] = np.array([-1])
    with pytest.raises(FormatError, match="unit -1"):
        SpikeTrainFile(path)[2]


@pytest.mark.parametrize(
    ("trains", "labels", "message"),
    [
        (TRAINS, [1], "labels must have shape"),
        (TRAINS, [1, 2, -1], "labels must hold"),
        ([([0.0], [1, 2])], [0], "train 0: times and units"),
        ([([1e6], [1])], [0], "does not fit float16"),
        ([([float("nan")], [1])], [0], "does not fit float16"),
        ([([0.0], [70000])], [0], "units of train 0"),
        ([([0.0], [0.5])], [0], "units of train 0"),
    ],
)
def test_what_does_not_fit_is_not_written(tmp_path, trains, labels, message):
    with pytest.raises(ValueError, match=message):
        write_spike_trains(tmp_path / "a.h5", trains, labels)
    assert not list(tmp_path.iterdir())


def test_a_file_that_vanishes_is_told(path, tmp_path):
    file = SpikeTrainFile(path)
    shutil.move(path, tmp_path / "away.h5")
    with pytest.raises(FileNotFoundError):
        file[0]


@settings(max_examples=60)
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4))
def test_damaged_bytes_give_right_samples_or_an_error(tmp_path_factory, changes):
    folder = tmp_path_factory.getbasetemp()
    whole = folder / "whole.h5"
    if not whole.exists():
        write_spike_trains(whole, TRAINS, [3, 0, 19], keys=["zero"])
    data = bytearray(whole.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    path = folder / "damaged.h5"
    path.unlink(missing_ok=True)  # the library shares what it knows of an open file
    path.write_bytes(data)
    with contextlib.suppress(FormatError), SpikeTrainFile(path) as file:
        for t, x in file:
            assert len(t) == len(x)
            assert not len(x) or x.max() < 700
