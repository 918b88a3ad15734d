"""``sz-models simulate`` on a real video, and what ``sz-models info`` says of its recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sj_datasets import load_vidar_dat, simulate_spikes
from sj_datasets.films import write_video
from sj_datasets.spike_camera import iter_gray_frames
from sz_models.cli import main

av = pytest.importorskip("av", reason="videos need PyAV")

N, H, W = 24, 16, 32


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bar of light that moves to the right, in an MP4."""
    monkeypatch.chdir(tmp_path)
    frames = np.full((N, H, W), 40, np.uint8)
    for index, frame in enumerate(frames):
        frame[:, index : index + 8] = 220
    try:
        write_video(Path("film.mp4"), frames, 25.0)
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"this PyAV cannot encode an MP4: {error}")
    return "film.mp4"


def described(capsys) -> dict[str, str]:
    assert main(["info", "b.dat", "--height", str(H), "--width", str(W)]) == 0
    return dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())


def test_a_video_becomes_a_recording_of_its_light(film, capsys):
    assert main(["simulate", film, "b.dat", "--seed", "4", "--repeat", "10"]) == 0
    assert f"b.dat: {10 * N} frames of --height {H} --width {W}" in capsys.readouterr().out
    light = np.repeat(np.stack(list(iter_gray_frames(film))), 10, axis=0)
    spikes = load_vidar_dat("b.dat", H, W)
    np.testing.assert_array_equal(spikes, simulate_spikes(light, rng=4))
    # each pixel has fired once per 2 units of its light, and the bar was there
    assert abs(spikes.sum(0) - light.sum(0) / 2).max() <= 1
    assert light[:10, :, :8].min() > 0.7 > 0.3 > light[:10, :, 16:].max()
    lines = described(capsys)
    assert lines["frames"] == f"{10 * N} of {H} x {W} pixels"
    assert lines["file"] == f"b.dat, {10 * N * H * W // 8} bytes"
    assert lines["rate"].startswith(f"mean {spikes.mean():.4f} ")


def test_a_video_is_cut_on_request(film, capsys):
    assert main(["simulate", film, "b.dat", "--frames", "7"]) == 0
    assert capsys.readouterr().out.startswith("b.dat: 7 frames")
    assert described(capsys)["frames"].startswith("7 of ")


def test_a_recording_of_a_video_becomes_a_video(film, capsys):
    assert main(["simulate", film, "b.dat", "--seed", "0", "--repeat", "10"]) == 0
    size = ("--height", str(H), "--width", str(W), "--rate", "0.5", "--window", "9")
    assert main(["reconstruct", "b.dat", *size, "--frames", "5:235:10", "-o", "c.mp4"]) == 0
    before, after = (np.stack(list(iter_gray_frames(name))) for name in (film, "c.mp4"))
    assert len(after) == 23
    assert np.corrcoef(before[:23].ravel(), after.ravel())[0, 1] > 0.95


def test_a_damaged_video_leaves_nothing(film, refused):
    content = Path(film).read_bytes()
    Path("cut.mp4").write_bytes(content[: len(content) // 2])
    assert "cut.mp4 is not a readable video" in refused("simulate", "cut.mp4", "b.dat")


def test_sound_is_no_video(tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    with av.open("tone.wav", "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        tone.rate = 8000
        container.mux(stream.encode(tone))
        container.mux(stream.encode(None))
    assert "tone.wav has no video stream" in refused("simulate", "tone.wav", "b.dat")
