from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

import sz_models as sz
from sj_datasets import save_vidar_dat, simulate_image
from sz_models.cli import main
from sz_models.cli.sheet import Panel, contact_sheet
from sz_models.cli.tables import table_lines

RECORDING = ("a.dat", "--height", "12", "--width", "16", "--rate", "0.5")


def test_a_sheet_and_a_table_of_several_methods(folder, capsys):
    outputs = ("--gt", "truth.png", "-o", "sheet.png", "--csv", "table.csv")
    assert main(["compare", *RECORDING, "--methods", "tfp:11,TFI,gtfp,tfstp", *outputs]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["method", "psnr", "ssim", "seconds"]
    with open("table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["tfp:11", "tfi", "gtfp", "tfstp"]
    assert [line.split()[0] for line in lines] == ["tfp:11", "tfi", "gtfp", "tfstp"]
    with Image.open("truth.png") as file:
        truth = np.asarray(file) / 255
    image = sz.reconstruct("a.dat", 12, 16, method="tfp", window=11, rate=0.5)
    assert float(rows[0]["psnr"]) == pytest.approx(sz.psnr(image, truth))
    assert float(rows[0]["ssim"]) == pytest.approx(sz.ssim(image, truth))
    with Image.open("sheet.png") as sheet:
        assert sheet.mode == "L"
        assert sheet.width > 300


def test_without_truth_there_are_no_metrics_and_without_a_name_the_sheet_has_one(folder, capsys):
    assert main(["compare", *RECORDING]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[0].split() == ["method", "seconds"]
    assert "compare.png" in told.err
    assert sorted(path.name for path in folder.iterdir()) == ["a.dat", "compare.png", "truth.png"]


def test_a_brightness_that_does_not_fit_the_truth_is_told(folder, capsys):
    assert main(["compare", *RECORDING[:-2], "--gt", "truth.png"]) == 0
    told = capsys.readouterr().err
    assert "--rate 0." in told
    rate = told.split("--rate ")[1].split()[0]
    assert main(["compare", *RECORDING[:-1], rate, "--gt", "truth.png"]) == 0
    assert "hint" not in capsys.readouterr().err


def test_a_brightness_without_scale_needs_no_rate(folder):
    save_vidar_dat("b.dat", simulate_image("truth.png", 220, rng=0))
    sz.build_model_name("spikeclip").build_network().save_network("clip.pth")
    tables = []
    for rate in ("0.5", "2"):
        options = ("--methods", "tfp,tfstp,spikeclip", "--weights", "spikeclip=clip.pth")
        files = ("--gt", "truth.png", "--csv", "table.csv")
        size = ("--height", "12", "--width", "16", "--rate", rate)
        assert main(["compare", "b.dat", *size, *options, *files]) == 0
        with open("table.csv", newline="") as file:
            tables.append([row["psnr"] for row in csv.DictReader(file)])
    assert tables[0][0] != tables[1][0]
    assert tables[0][1:] == tables[1][1:]


def test_networks_in_tiles(folder):
    sz.BaseModel(sz.BaseModelConfig()).build_network().save_network("b.pth")
    command = ["compare", *RECORDING, "--methods", "base,tfp", "--weights", "base=b.pth"]
    assert main([*command, "-o", "whole.png"]) == 0
    assert main([*command, "-o", "tiles.png", "--tile", "6", "7"]) == 0
    with Image.open("whole.png") as whole, Image.open("tiles.png") as tiles:
        difference = np.asarray(whole).astype(int) - np.asarray(tiles)
    assert abs(difference).max() <= 1


def test_networks_with_weight_files(folder, capsys):
    sz.BaseModel(sz.BaseModelConfig()).build_network().save_network("b.pth")
    command = ["compare", *RECORDING, "--methods", "base,tfp", "--gt", "truth.png"]
    assert main([*command, "--weights", "base=b.pth", "--metrics", "mse"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["method", "mse", "seconds"]


ERRORS = {
    "method": (("--methods", "tfp,gtpf"), "did you mean 'gtfp'"),
    "no method": (("--methods", ","), "names no method"),
    "twice": (("--methods", "tfp,TFP"), "names tfp twice"),
    "window": (("--methods", "tfp:wide"), "must be a number of frames"),
    "long window": (("--methods", "tfp,tfi:201"), "needs frames"),
    "window of a network": (("--methods", "wgse:3"), "has no option 'window'"),
    "metric": (("--gt", "truth.png", "--metrics", "pnsr"), "did you mean 'psnr'"),
    "metric without truth": (("--metrics", "psnr"), "give --gt"),
    "size of truth": (("--gt", "small.png"), "small.png is 3x3"),
    "same file": (("--csv", "./sheet.png"), "cannot be both"),
    "no such folder": (("--csv", "no/table.csv"), "does not exist"),
    "folder": (("--csv", "sub"), "is a folder"),
    "image format": (("-o", "sheet.xyz"), "not an image format"),
    "weights": (("--weights", "base"), "must be NAME=FILE"),
    "weights of another": (("--weights", "base=b.pth"), "not among --methods"),
    "tile": (("--tile", "4", "-1"), "at least 1 row and 1 column, got 4 x -1"),
    "unreleased": (("--methods", "base", "--version", "v9"), "unknown version of base 'v9'"),
    "no weights": (("--methods", "tfp,base"), "releases/download/v0.2.3/base.pth"),
}


@pytest.mark.parametrize(("more", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_errors_are_one_line_and_leave_nothing(refused, folder, monkeypatch, more, message):
    monkeypatch.setenv("SZ_MODELS_WEIGHTS", "weights")
    Image.new("L", (3, 3)).save("small.png")
    (folder / "sub").mkdir()
    assert message in refused("compare", *RECORDING, "-o", "sheet.png", *more)


def test_panels_lie_in_rows_and_keep_their_pixels():
    pixels = np.random.default_rng(0).integers(0, 255, (200, 160), np.uint8)
    sheet = np.asarray(contact_sheet([Panel(pixels, "one")] * 5))
    np.testing.assert_array_equal(sheet[6:206, 6:166], pixels)
    np.testing.assert_array_equal(sheet[6:206, 172:332], pixels)
    assert sheet.shape[1] == 3 * 166 + 6  # three in a row
    assert sheet[206:226, 6:166].min() < 100  # the label
    assert contact_sheet([Panel(pixels, "a label that is far too long for its image")]).width == 172


def test_a_table_is_aligned():
    rows = [{"method": "tfp", "psnr": 31.5}, {"method": "spikeclip", "psnr": 7.25}]
    assert table_lines(rows) == ["method        psnr", "tfp        31.5000", "spikeclip   7.2500"]
