from __future__ import annotations

import numpy as np
import pytest

import sz_models as sz
from sj_datasets import load_vidar_dat
from sj_datasets.spike_camera import write_uhsr
from sz_models.cli import main

SIZE = ("--height", "12", "--width", "16")


def test_info_tells_frames_duration_and_rates(folder, capsys):
    assert main(["info", "a.dat", *SIZE]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    rates = load_vidar_dat("a.dat", 12, 16).mean(0)
    assert lines["frames"] == "61 of 12 x 16 pixels"
    assert lines["duration"] == "3.05 ms at 20 kHz, 1.525 ms at 40 kHz"
    assert lines["rate"].startswith(f"mean {rates.mean():.4f} ")
    assert lines["darkest"].startswith(f"{rates.min():.4f} at row 0")
    assert lines["brightest"].startswith(f"{rates.max():.4f} at row 11")
    assert lines["silent"] == f"{(rates == 0).sum()} of 192 pixels"


def test_uhsr_files_need_no_size(folder, capsys, refused):
    spikes = np.random.default_rng(0).integers(0, 2, (45, 250, 250), np.uint8)
    write_uhsr("u.npz", spikes)
    assert main(["info", "u.npz"]) == 0
    assert "45 of 224 x 224 pixels" in capsys.readouterr().out
    assert main(["reconstruct", "u.npz", "--height", "224", "-o", "u.png"]) == 0
    assert "key frame 22 of 45" in capsys.readouterr().out
    assert "a UHSR picture has width 224, not 250" in refused("info", "u.npz", "--width", "250")


def write_npz(path, spikes):
    np.savez(path, spk=spikes, label=np.int64(0), label_name=np.str_(""))


UNUSABLE = {
    "missing.dat": (None, "no such file"),
    "missing.npz": (None, "no such file"),
    "empty.dat": (b"", "is empty"),
    "short.dat": (b"123", "less than one"),
    "truncated.dat": (b"1" * 49, "1 bytes remain after 2 frames"),
    "broken.npz": (b"PK", "expected an .npz file"),
    "nan.npz": (np.full((2, 250, 250), np.nan), "uint8 of 0 and 1, got dtype float64"),
    "values.npz": (np.full((2, 250, 250), 2, np.uint8), "uint8 of 0 and 1"),
    "size.npz": (np.zeros((2, 240, 250), np.uint8), "shape [T, 250, 250]"),
}


@pytest.mark.parametrize("command", ["info", "compare", "bench"])
@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_recordings(folder, refused, command, name):
    content, message = UNUSABLE[name]
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    elif content is not None:
        write_npz(name, content)
    size = SIZE if name.endswith(".dat") else ()
    line = refused(command, name, *size)
    assert message in line
    assert name in line


def test_a_dat_file_needs_its_size(folder, refused):
    assert "give height and width" in refused("info", "a.dat", "--height", "12")
    assert "multiple of 8" in refused("info", "a.dat", "--height", "3", "--width", "3")


def test_list_has_a_line_for_every_method(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SZ_MODELS_WEIGHTS", str(tmp_path))
    (tmp_path / "v023").mkdir()
    (tmp_path / "v023" / "base.pth").write_bytes(b"")
    assert main(["list"]) == 0
    _, *lines, note = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines]
    assert {*sz.METHODS, "tfstp"} == set(names)
    assert "v010 not here, v023 here" in lines[names.index("base")]
    assert "61/41" in lines[names.index("bsf")]
    assert "window=41" in lines[names.index("tfp")]
    assert "CVPR 2021" in lines[names.index("spk2imgnet")]
    assert "research only" in lines[names.index("stir")]
    assert "MIT" in note
