from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageSequence

import sz_models as sz
from sz_models.cli import main
from sz_models.cli.film import check_film, write_film
from sz_models.cli.reconstruct import parse_frames

RECORDING = ("a.dat", "--height", "12", "--width", "16")


def gif_frames(path) -> list[np.ndarray]:
    with Image.open(path) as film:
        return [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(film)]


def test_a_gif_holds_the_images_of_the_key_frames(folder):
    command = [sys.executable, "-m", "sz_models", "reconstruct", *RECORDING]
    options = ["--method", "gtfp", "--frames", "10:40:5", "--rate", "0.5", "-o", "a.gif"]
    result = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    assert result.stderr == ""  # no bar where stderr is no terminal
    assert result.stdout == "a.gif: 6 images of gtfp, 25 a second, from 61 frames\n"
    expected = [
        sz.to_uint8(sz.reconstruct("a.dat", 12, 16, method="gtfp", key_frame=key, rate=0.5))
        for key in range(10, 40, 5)
    ]
    np.testing.assert_array_equal(gif_frames("a.gif"), expected)


def test_an_mp4_has_all_key_frames_and_the_rate(folder, capsys):
    av = pytest.importorskip("av")
    assert main(["reconstruct", *RECORDING, "--window", "41", "--fps", "12.5", "-o", "a.mp4"]) == 0
    assert capsys.readouterr().out.startswith("a.mp4: 21 images of tfp, 12.5 a second")
    with av.open("a.mp4") as film:
        assert film.streams.video[0].average_rate == 12.5
        shapes = [frame.to_ndarray(format="gray").shape for frame in film.decode(video=0)]
    assert shapes == [(12, 16)] * 21


def test_a_gif_of_one_key_frame_is_an_image(folder, capsys):
    assert main(["reconstruct", *RECORDING, "--frame", "30", "-o", "a.gif"]) == 0
    assert "at key frame 30" in capsys.readouterr().out
    assert len(gif_frames("a.gif")) == 1


def test_a_terminal_gets_a_bar(folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert main(["reconstruct", *RECORDING, "--frames", "20:40", "-o", "a.gif"]) == 0
    assert "20/20" in capsys.readouterr().err


def test_a_gif_keeps_every_grey_and_asks_for_at_most_50_pictures_a_second(tmp_path):
    greys = np.arange(256, dtype=np.uint8).reshape(8, 32)
    write_film(tmp_path / "a.gif", iter([greys, greys[::-1]]), 200)
    np.testing.assert_array_equal(gif_frames(tmp_path / "a.gif"), [greys, greys[::-1]])
    with Image.open(tmp_path / "a.gif") as film:
        assert (film.info["duration"], film.info["loop"]) == (20, 0)


def test_a_gif_is_written_while_the_images_come(tmp_path):
    sizes = []

    def pictures():
        rng = np.random.default_rng(0)
        for _ in range(12):
            sizes.append((tmp_path / "a.gif").stat().st_size)
            yield rng.integers(0, 255, (64, 64), np.uint8)

    write_film(tmp_path / "a.gif", pictures(), 25)
    assert 0 < sizes[6] < sizes[-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, (None, None, 1)),
        ("3:9", (3, 9, 1)),
        ("3:9:2", (3, 9, 2)),
        ("::4", (None, None, 4)),
        (":7:", (None, 7, 1)),
    ],
)
def test_ranges_of_frames(text, expected):
    assert parse_frames(text) == expected


ERRORS = {
    "range": (("--frames", "3-9"), "must be A:B or A:B:STEP"),
    "negative": (("--frames=-3:9",), "must be A:B or A:B:STEP"),
    "step": (("--frames", "20:30:0"), "step must be at least 1"),
    "outside": (("--frames", "0:61"), "leave 20..40"),
    "far outside": (("--frames", f"20:{10**40}"), "leave 20..40"),
    "none": (("--frames", "30:30"), "no key frames"),
    "window": (("--window", "71"), "needs 71 frames, but the stream has 61"),
    "fps": (("--fps", "nan"), "--fps must lie in"),
    "truth": (("--gt", "truth.png"), "--gt is of one image"),
    "tile": (("--tile", "0", "8"), "at least 1 row"),
    "tile of a histogram": (("--method", "tfstp", "--tile", "4", "4"), "its histogram is of the"),
    "weights of tfp": (("--method", "tfstp", "--version", "v023"), "has no weights"),
}


@pytest.mark.parametrize(("more", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_errors_are_one_line_and_leave_nothing(refused, folder, more, message):
    assert message in refused("reconstruct", *RECORDING, "-o", "a.gif", *more)


def test_a_film_that_breaks_off_leaves_nothing(folder, capsys, monkeypatch):
    def broken(*_, **__):
        yield sz.reconstruct("a.dat", 12, 16)
        raise ValueError("the file became shorter")

    monkeypatch.setattr("sz_models.cli.reconstruct.reconstruct_video", broken)
    before = sorted(folder.iterdir())
    assert main(["reconstruct", *RECORDING, "-o", "a.gif"]) == 2
    assert "became shorter" in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


def test_mp4_without_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"sz-models\[video\]"):
        check_film(tmp_path / "a.mp4", 25)
    with pytest.raises(ValueError, match="a video is"):
        check_film(tmp_path / "a.avi", 25)
