from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import sz_models as sz
from sz_models.cli import main

H, W = 12, 16


def arguments(*more: str) -> list[str]:
    size = ["--height", str(H), "--width", str(W), "-o", "out.png"]
    return ["reconstruct", "a.dat", *size, *more]


def test_the_command_writes_the_picture_and_says_how_good_it_is(folder):
    result = subprocess.run(
        [sys.executable, "-m", "sz_models", *arguments("--rate", "0.5", "--truth", "truth.png")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr == ""
    image = sz.reconstruct("a.dat", H, W, rate=0.5)
    with Image.open("truth.png") as truth:
        expected = sz.psnr(image, np.asarray(truth) / 255)
    assert result.stdout == (
        f"out.png: tfp at key frame 30 of 61, PSNR {expected:.2f} dB, SSIM "
        f"{sz.ssim(image, np.asarray(truth) / 255):.4f}\n"
    )
    with Image.open("out.png") as written:
        np.testing.assert_array_equal(np.asarray(written), sz.to_uint8(image))


@pytest.mark.parametrize(
    "more",
    [
        ("--method", "tfi", "--window", "30", "--key-frame", "20"),
        ("--method", "gtfp", "--sigma", "2"),
        ("--method", "TFSTP", "--frame", "20"),
        ("--method", "tfi", "--tile", "5", "7"),
    ],
)
def test_methods_and_their_options(folder, capsys, more):
    assert main(arguments(*more)) == 0
    assert (folder / "out.png").is_file()
    assert f"out.png: {more[1].lower()} at key frame" in capsys.readouterr().out


def test_network_weights_from_a_file(folder, capsys):
    sz.BaseModel(sz.BaseModelConfig()).build_network().save_network("base.pth")
    assert main(arguments("--method", "base", "--weights", "base.pth")) == 0
    assert "base at key frame 30" in capsys.readouterr().out


def test_an_incomplete_last_frame_is_dropped_on_request(folder, capsys):
    with (folder / "a.dat").open("ab") as file:
        file.write(b"x")
    assert main(arguments()) == 2
    assert "1 bytes remain after 61 frames" in capsys.readouterr().err
    assert main(arguments("--no-strict")) == 0


ERRORS = {
    "unknown method": (("--method", "gtpf"), "did you mean 'gtfp'"),
    "missing option value": (("--window", "wide"), "invalid int value"),
    "option of another method": (("--sigma", "3"), "has no option 'sigma'"),
    "window": (("--window", "201"), "needs frames"),
    "window of no method": (("--method", "tfstp", "--window", "3"), "has no option 'window'"),
    "wrong size": (("--width", "40"), "not a whole number of 12x40 frames"),
    "size of half bytes": (("--height", "3", "--width", "5"), "multiple of 8"),
    "missing output folder": (("-o", "no/out.png"), "does not exist"),
    "output format": (("-o", "out.xyz"), "not an image format"),
    "missing truth": (("--truth", "no.png"), "no.png: no such file"),
    "truth size": (("--truth", "small.png"), "small.png is 3x3, the reconstruction 12x16"),
    "video as image": (("--frames", "10:20"), "out.png is an image"),
    "negative key frame": (("--frame", "-1"), "key frame -1 leaves"),
    "rate": (("--rate", "nan"), "rate must be a positive number"),
    "tile": (("--tile", "0", "8"), "at least 1 row"),
    "half a tile": (("--tile", "8"), "expected 2 arguments"),
    "tile of a histogram": (("--method", "tfstp", "--tile", "4", "4"), "its histogram is of the"),
    "weights twice": (("--weights", "a.pth", "--version", "v023"), "not allowed with"),
    "no weights": (("--method", "base"), "releases/download/v0.2.3/base.pth"),
}


@pytest.mark.parametrize(("more", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_errors_are_one_line_and_leave_nothing(folder, capsys, monkeypatch, more, message):
    monkeypatch.setenv("SZ_MODELS_WEIGHTS", "weights")
    Image.new("L", (3, 3)).save("small.png")
    before = sorted(os.listdir())
    try:
        status = main(arguments(*more))
    except SystemExit as stop:  # argparse's own errors
        status = stop.code
    output = capsys.readouterr()
    assert status == 2
    assert message in output.err
    assert output.err.count("\n") == 1
    assert output.out == ""
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no such file"), (b"", "is empty"), (b"123", "less than one")]
)
def test_unusable_recordings(folder, capsys, content, message):
    (folder / "a.dat").unlink()
    if content is not None:
        (folder / "a.dat").write_bytes(content)
    assert main(arguments()) == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere"
)
def test_an_unwritable_folder(folder, capsys):
    (folder / "locked").mkdir(mode=0o500)
    assert main(arguments("-o", "locked/out.png")) == 2
    assert "not writable" in capsys.readouterr().err


def test_a_missing_command_is_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
