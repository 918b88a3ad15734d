from __future__ import annotations

import numpy as np
import pytest
import torch

import sz_models as sz
from sj_datasets import save_vidar_dat
from sz_models.streams import as_tensor


@pytest.fixture
def recording(tmp_path):
    spikes = np.random.default_rng(0).integers(0, 2, (5, 4, 16), dtype=np.uint8)
    save_vidar_dat(tmp_path / "a.dat", spikes)
    return tmp_path / "a.dat", spikes


def test_a_recording_is_read_as_floats_for_a_network(recording):
    path, spikes = recording
    tensor = sz.load_vidar_dat(path, width=16, height=4, out_format="tensor")
    assert tensor.dtype == torch.float32
    np.testing.assert_array_equal(tensor, spikes)
    array = sz.load_vidar_dat(path, 4, 16)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, spikes)


def test_reader_options_are_passed_on(recording):
    path, spikes = recording
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ValueError, match="1 bytes remain"):
        sz.load_vidar_dat(path, 4, 16)
    np.testing.assert_array_equal(sz.load_vidar_dat(path, 4, 16, strict=False), spikes)
    with pytest.raises(ValueError, match="'array' or 'tensor'"):
        sz.load_vidar_dat(path, 4, 16, out_format="list")


def test_arrays_that_torch_cannot_share_are_copied():
    array = np.arange(6, dtype=np.uint8)
    assert as_tensor(array[::-1]).tolist() == [5, 4, 3, 2, 1, 0]
    array.flags.writeable = False
    assert as_tensor(array).tolist() == [0, 1, 2, 3, 4, 5]
    assert as_tensor(array.astype(">f4")).tolist() == [0, 1, 2, 3, 4, 5]
