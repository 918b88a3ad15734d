from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sj_datasets import load_vidar_dat, simulate_image, simulate_spikes
from sj_datasets.spike_camera import SensorNoise
from sz_models.cli import main


def pictures(folder, n: int) -> np.ndarray:
    frames = np.random.default_rng(0).integers(0, 255, (n, 4, 8), np.uint8)
    (folder / "pictures").mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / "pictures" / f"{index}.png")
    return frames


def test_an_image_becomes_a_recording(folder, capsys):
    options = ["--frames", "40", "--threshold", "1.5", "--seed", "3"]
    assert main(["simulate", "truth.png", "b.dat", *options]) == 0
    spikes = load_vidar_dat("b.dat", 12, 16)
    np.testing.assert_array_equal(spikes, simulate_image("truth.png", 40, 1.5, rng=3))
    assert capsys.readouterr().out == (
        f"b.dat: 40 frames of --height 12 --width 16, rate {spikes.mean():.4f}\n"
    )


def test_an_image_alone_takes_301_frames(folder):
    assert main(["simulate", "truth.png", "b.dat"]) == 0
    assert len(load_vidar_dat("b.dat", 12, 16)) == 301


def test_images_of_a_folder_follow_each_other(folder, capsys, monkeypatch):
    frames = pictures(folder, 5)
    monkeypatch.setattr("sz_models.cli.simulate._BLOCK_PIXELS", 4 * 8 * 3)  # blocks of 3 frames
    assert main(["simulate", "pictures", "b.dat", "--repeat", "2", "--frames", "9"]) == 0
    assert load_vidar_dat("b.dat", 4, 8).shape == (9, 4, 8)
    assert main(["simulate", "pictures", "c.dat", "--seed", "1"]) == 0
    expected = simulate_spikes(frames, rng=1)
    np.testing.assert_array_equal(load_vidar_dat("c.dat", 4, 8), expected)
    capsys.readouterr()
    assert main(["info", "c.dat", "--height", "4", "--width", "8"]) == 0
    assert "frames    5 of 4 x 8 pixels\n" in capsys.readouterr().out


def test_noise_of_the_sensor(folder):
    options = ("--photons", "50", "--dark-current", "0.1", "--read-noise", "0.05", "--hard-reset")
    command = ["simulate", "truth.png", "b.dat", "--frames", "30", "--seed", "2"]
    assert main([*command, *options]) == 0
    noise = SensorNoise(photons=50, dark_current=0.1, read_noise=0.05, hard_reset=True)
    expected = simulate_image("truth.png", 30, rng=2, noise=noise)
    np.testing.assert_array_equal(load_vidar_dat("b.dat", 12, 16), expected)


ERRORS = {
    "missing": (("no.png", "b.dat"), "no.png: no such file"),
    "not a video": (("a.dat", "b.dat"), "a.dat is not a readable video"),
    "no images": (("empty", "b.dat"), "holds no image"),
    "odd size": (("odd.png", "b.dat"), "has 3x3 pixels; a .dat needs a multiple of 8"),
    "not a recording": (("truth.png", "b.png"), "a recording is a .dat file"),
    "no such folder": (("truth.png", "no/b.dat"), "does not exist"),
    "frames": (("truth.png", "b.dat", "--frames", "0"), "--frames must be at least 1"),
    "repeat": (("truth.png", "b.dat", "--repeat", "0"), "--repeat must be at least 1"),
    "threshold": (("truth.png", "b.dat", "--threshold", "nan"), "threshold must be a positive"),
    "noise": (("truth.png", "b.dat", "--read-noise", "-1"), "read_noise must be at least 0"),
    "photons": (("truth.png", "b.dat", "--photons", "0"), "photons must lie in"),
    "seed": (("truth.png", "b.dat", "--seed", "-1"), "--seed must be at least 0"),
}


@pytest.mark.parametrize(("argv", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_errors_are_one_line_and_leave_nothing(refused, folder, argv, message):
    (folder / "empty").mkdir()
    Image.new("L", (3, 3)).save("odd.png")
    assert message in refused("simulate", *argv)


def test_pictures_of_changing_size_leave_nothing(refused, folder):
    pictures(folder, 3)
    Image.new("L", (16, 16)).save("pictures/7.png")
    assert "frames change size" in refused("simulate", "pictures", "b.dat")
