from __future__ import annotations

import numpy as np
import pytest

from sj_datasets.config import BuildOptions, NeuromorphicDatasetConfig
from sj_datasets.formats.spike_trains import SpikeTrainFile, write_spike_trains
from sj_datasets.spike_train_frames import (
    SpikeIntegrator,
    build_spike_frames,
    build_with_own_files,
    writes_its_own_files,
)

W = 700


def config(**arguments) -> NeuromorphicDatasetConfig:
    return NeuromorphicDatasetConfig("root", data_type="frame", **arguments)


def integrate(t, x, **arguments):
    return SpikeIntegrator(config(**arguments), W)(np.asarray(t), np.asarray(x, np.uint16))


@pytest.fixture
def trains(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(np.sort(rng.random(20)), rng.integers(0, W, 20)) for _ in range(5)]
    write_spike_trains(tmp_path / "a.h5", rows, [1, 0, 1, 10, 0])
    return SpikeTrainFile(tmp_path / "a.h5")


def test_durations_are_milliseconds():
    frames = integrate([0.0, 0.004, 0.0125, 0.021], [1, 1, 2, 3], duration=10)
    assert frames.shape == (3, W)
    assert np.argwhere(frames).tolist() == [[0, 1], [1, 2], [2, 3]]
    assert frames[0, 1] == 2


def test_sixteen_bits_do_not_move_spikes():
    # in float16, 1000 * 1.0 - 1000 * 0.0498 is 950.0, one frame too late
    t = np.array([0.0498, 1.0], np.float16)
    assert (np.float16(1000) * t)[1] - (np.float16(1000) * t)[0] == 950
    exact = 1000 * (1.0 - float(t[0]))
    assert len(integrate(t, [0, 0], duration=25)) == np.ceil(exact / 25)


def test_trains_out_of_order_are_sorted():
    ordered = integrate([0.0, 0.1, 0.2, 0.3], [1, 2, 3, 4], frames_number=2, split_by="time")
    mixed = integrate([0.3, 0.0, 0.2, 0.1], [4, 1, 3, 2], frames_number=2, split_by="time")
    np.testing.assert_array_equal(mixed, ordered)


def test_a_custom_function_gets_seconds_in_float64():
    def count(events, H, W):
        assert events["t"].dtype == np.float64
        assert H is None
        return np.bincount(events["x"], minlength=W)[None]

    frames = integrate(np.array([0.5, 0.5], np.float16), [3, 3], custom_integrate_function=count)
    assert frames.shape == (1, W)
    assert frames[0, 3] == 2


def test_without_settings_there_are_no_frames():
    with pytest.raises(ValueError, match="frames_number"):
        SpikeIntegrator(NeuromorphicDatasetConfig("root"), W)(np.zeros(1), np.zeros(1, int))


def test_frames_lie_in_the_folder_of_their_label(trains, tmp_path):
    integrator = SpikeIntegrator(config(frames_number=4, split_by="number"), W)
    target = tmp_path / "tree" / "train"
    build_spike_frames(trains, integrator, target, BuildOptions())
    files = sorted(str(p.relative_to(target)) for p in target.rglob("*.npy"))
    assert files == ["0/1.npy", "0/4.npy", "1/0.npy", "1/2.npy", "10/3.npy"]
    frames = np.load(target / "10/3.npy")
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, integrator(*trains[3]))


def test_only_what_is_missing_is_made(trains, tmp_path):
    integrator = SpikeIntegrator(config(frames_number=4, split_by="number"), W)
    target = tmp_path / "train"
    (target / "0").mkdir(parents=True)
    (target / "0" / "4.npy").write_bytes(b"kept")
    (target / "0" / "notes.txt").write_bytes(b"")
    build_spike_frames(trains, integrator, target, BuildOptions())
    assert (target / "0/4.npy").read_bytes() == b"kept"
    assert (target / "0/1.npy").exists()


def test_errors_name_the_sample(trains, tmp_path):
    def fail(events, H, W):
        raise RuntimeError("no")

    integrator = SpikeIntegrator(config(custom_integrate_function=fail), W)
    with pytest.raises(RuntimeError) as error:
        build_spike_frames(trains, integrator, tmp_path / "train", BuildOptions())
    assert "sample 0 of" in error.value.__notes__[0]


def own(h5_file, i, output_dir, W):
    frames = np.zeros((1, W))
    np.add.at(frames[0], h5_file["spikes"]["units"][i], 1)
    np.savez(f"{output_dir}/{h5_file['labels'][i]}/{i}", frames=frames)


def test_functions_of_four_arguments_write_for_themselves(trains, tmp_path):
    assert writes_its_own_files(own)
    assert not writes_its_own_files(lambda events, H, W: None)
    assert not writes_its_own_files(None)
    assert not writes_its_own_files(dict.fromkeys)  # has no signature, or not that one
    assert not writes_its_own_files(dict)
    build_with_own_files(trains, own, tmp_path / "train", W)
    with np.load(tmp_path / "train/10/3.npz") as arrays:
        assert arrays["frames"].sum() == 20


def test_functions_that_write_too_little_are_told(trains, tmp_path):
    with pytest.raises(ValueError, match=r"left 0 files .* for 5 samples"):
        build_with_own_files(trains, lambda file, i, out, W: None, tmp_path / "train", W)
