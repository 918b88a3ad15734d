from __future__ import annotations

import subprocess
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from sj_datasets import play
from sj_datasets.play import frames_to_rgb, play_frame, save_as_pic, save_frames

T, H, W = 4, 5, 7


@pytest.fixture
def frames() -> np.ndarray:
    frames = np.zeros((T, 2, H, W), np.int32)
    frames[np.arange(T), 0, 0, np.arange(T)] = 1
    frames[:, 1, 4, 6] = 1
    return frames


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """What was given to the system's viewer."""
    found: list[str] = []
    monkeypatch.setattr(play.webbrowser, "open", found.append)
    terminal = SimpleNamespace(isatty=lambda: True)
    system = SimpleNamespace(stdout=terminal, platform="linux", modules={})
    monkeypatch.setattr(play, "sys", system)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    return found


def test_polarities_are_green_and_blue(frames):
    images = frames_to_rgb(frames)
    assert images.shape == (T, H, W, 3)
    assert images[2, 0, 2].tolist() == [0, 255, 0]
    assert images[2, 4, 6].tolist() == [0, 0, 255]
    assert images.sum() == 255 * 2 * T


def test_brightness_grows_with_the_count_and_ignores_what_is_no_count():
    frames = np.zeros((1, 2, 10, 100))
    frames[0, 0] = 4
    frames[0, 1, 0, :5] = [1, 1e9, np.nan, -3, np.inf]
    assert frames_to_rgb(frames)[0, 0, :5, 2].tolist() == [128, 255, 0, 0, 0]


def test_frames_without_events_are_black():
    assert not frames_to_rgb(np.zeros((1, 2, H, W))).any()


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_films_repeat_for_ever_and_keep_every_frame(tmp_path, frames, suffix):
    path = tmp_path / f"film{suffix}"
    play_frame(frames, save_gif_to=path)
    with Image.open(path) as film:
        assert film.n_frames == T
        assert film.size == (W, H)
        assert film.info["loop"] == 0
        assert film.info["duration"] == 100
        film.seek(2)
        np.testing.assert_array_equal(np.asarray(film.convert("RGB")), frames_to_rgb(frames)[2])


def test_films_have_their_speed_and_zoom(tmp_path, frames):
    save_frames(frames, tmp_path / "film.gif", fps=1000, zoom=3)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.info["duration"] == 20  # faster ones are shown slowly
        assert film.size == (3 * W, 3 * H)


def test_videos_hold_every_frame(tmp_path, frames):
    import av

    save_frames(frames, tmp_path / "film.mp4", fps=25, zoom=9)
    with av.open(str(tmp_path / "film.mp4")) as video:
        images = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        assert video.streams.video[0].average_rate == 25
    assert len(images) == T
    assert images[0].shape == (9 * H + 1, 9 * W + 1, 3)  # even sizes
    wanted = frames_to_rgb(frames).repeat(9, 1).repeat(9, 2)
    assert abs(images[2][4, 22].astype(int) - wanted[2][4, 22]).max() < 60


def test_each_frame_becomes_a_picture(tmp_path, frames):
    save_as_pic(frames, tmp_path, "first")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"first_{t}.png" for t in range(T)]
    with Image.open(tmp_path / "first_1.png") as image:
        np.testing.assert_array_equal(np.asarray(image), frames_to_rgb(frames)[1])


def test_tensors_are_taken_from_their_graph_and_device(frames):
    tensor = SimpleNamespace(detach=lambda: SimpleNamespace(cpu=lambda: frames))
    np.testing.assert_array_equal(frames_to_rgb(tensor), frames_to_rgb(frames))


# where films are shown


def test_without_a_display_frames_are_drawn_once(frames, caplog):
    with caplog.at_level("INFO", "sj_datasets"):
        assert play_frame(frames) is None
    assert "4 frames were drawn and not shown" in caplog.text


def test_a_desktop_opens_the_film(opened, monkeypatch, frames, tmp_path):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(play.tempfile, "mkdtemp", lambda prefix: str(tmp_path))
    play_frame(frames)
    assert opened == [(tmp_path / "frames.gif").as_uri()]
    with Image.open(tmp_path / "frames.gif") as film:
        assert film.n_frames == T
        assert film.size == (36 * W, 36 * H)


@pytest.mark.parametrize(
    ("platform", "variables", "shown"),
    [
        ("linux", {}, False),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("darwin", {}, True),
        ("win32", {"SSH_CONNECTION": "far away"}, False),
    ],
)
def test_desktops_are_recognised(opened, monkeypatch, frames, tmp_path, platform, variables, shown):
    monkeypatch.setattr(play.sys, "platform", platform)
    monkeypatch.setattr(play.tempfile, "mkdtemp", lambda prefix: str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    play_frame(frames)
    assert bool(opened) is shown


@pytest.mark.parametrize("kernel", [None, object()])
def test_notebooks_show_the_film_below_the_cell(monkeypatch, frames, kernel):
    shown: list[dict] = []
    module, display = ModuleType("IPython"), ModuleType("IPython.display")
    module.get_ipython = lambda: SimpleNamespace(kernel=kernel)  # type: ignore[attr-defined]
    display.Image = lambda **content: content  # type: ignore[attr-defined]
    display.display = shown.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    play_frame(frames)
    assert [image["data"][:3] for image in shown] == ([b"GIF"] if kernel else [])


# errors


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ((2, 3, H, W), r"shape \[T, 2, H, W\], got \[2, 3, 5, 7\]"),
        ((T, W), r"got \[4, 7\]"),
        ((8, T, 2, H, W), "take one sample of the batch"),
        ((0, 2, H, W), r"got \[0, 2, 5, 7\]"),
    ],
)
def test_other_shapes_are_refused(shape, complaint):
    with pytest.raises(ValueError, match=complaint):
        play_frame(np.zeros(shape))


def test_other_content_and_suffixes_are_refused(tmp_path, frames):
    with pytest.raises(TypeError, match="real numbers, got complex128"):
        play_frame(frames * 1j)
    with pytest.raises(ValueError, match=r"film\.avi: frames are written to \.gif"):
        play_frame(frames, tmp_path / "film.avi")
    with pytest.raises(ValueError, match="fps must be in"):
        save_frames(frames, tmp_path / "film.gif", fps=0)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        save_as_pic(frames, tmp_path / "no")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "missing"), [("film.gif", "PIL"), ("film.mp4", "av")])
def test_a_missing_library_names_the_extra(tmp_path, monkeypatch, frames, name, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"sj-datasets\[media\]"):
        save_frames(frames, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_importing_needs_neither_pillow_nor_pyav():
    code = "import sys, sj_datasets.play; sys.exit(len({'PIL', 'av'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
