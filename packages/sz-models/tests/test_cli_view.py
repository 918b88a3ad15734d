from __future__ import annotations

import numpy as np
import pytest

from sj_datasets.spike_camera import write_uhsr
from sz_models.cli import main
from sz_models.viewer import ViewerServer

SIZE = ("--height", "12", "--width", "16")


@pytest.fixture
def shown(monkeypatch):
    """Pages that a browser opened, and what they were to show."""
    pages: list[tuple[str, str, tuple[int, int, int]]] = []

    def interrupt(self) -> None:
        info = self.frames.info()
        pages.append((self.address, info["name"], (info["frames"], info["height"], info["width"])))
        raise KeyboardInterrupt

    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(ViewerServer, "serve_forever", interrupt)
    return pages, opened


def test_view_opens_the_page_and_says_where(folder, shown, capsys):
    pages, opened = shown
    assert main(["view", "a.dat", *SIZE]) == 0
    assert pages == [(opened[0], "a.dat", (61, 12, 16))]
    assert capsys.readouterr().out.split()[0] == opened[0]
    assert main(["view", "a.dat", *SIZE, "--no-browser"]) == 0
    assert (len(pages), len(opened)) == (2, 1)


def test_uhsr_files_need_no_size(folder, shown):
    write_uhsr("u.npz", np.random.default_rng(0).integers(0, 2, (45, 250, 250), np.uint8))
    assert main(["view", "u.npz"]) == 0
    assert shown[0][0][1:] == ("u.npz", (45, 224, 224))


def test_wrong_recordings_and_ports_are_one_line(folder, shown, refused):
    assert "give height and width" in refused("view", "a.dat")
    assert "missing.dat" in refused("view", "missing.dat", *SIZE)
    assert "65535" in refused("view", "a.dat", *SIZE, "--port", "65536")
    assert shown == ([], [])
