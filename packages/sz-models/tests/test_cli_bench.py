from __future__ import annotations

import csv

import pytest

from sz_models.cli import main

RECORDING = ("a.dat", "--height", "12", "--width", "16")


def test_bench_measures_methods_and_networks_without_weights(folder, capsys):
    options = ["--methods", "tfp:11,gtfp,tfstp,base", "--runs", "2", "--csv", "b.csv"]
    assert main(["bench", *RECORDING, *options]) == 0
    heading, *lines, note = capsys.readouterr().out.splitlines()
    assert heading.split() == ["method", "images", "ms", "per", "image", "images", "per", "s"]
    assert [line.split()[:2] for line in lines] == [
        ["tfp:11", "51"],
        ["gtfp", "21"],
        ["tfstp", "21"],
        ["base", "1"],
    ]
    assert "median of 2 runs" in note
    with open("b.csv", newline="") as file:
        for row in csv.DictReader(file):
            assert float(row["ms per image"]) * float(row["images per s"]) == pytest.approx(1000)


def test_the_number_of_images(folder, capsys):
    assert main(["bench", *RECORDING, "--methods", "tfi", "--images", "3", "--runs", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["tfi", "3"]


ERRORS = {
    "method": (("--methods", "tpf"), "did you mean 'tfp'"),
    "window": (("--methods", "tfp:99"), "needs 99 frames, but the stream has 61"),
    "window of a network": (("--methods", "base:3"), "has no option 'window'"),
    "network": (("--methods", "spikeclip"), "needs frames"),
    "images": (("--images", "0"), "--images must be at least 1"),
    "runs": (("--runs", "0"), "--runs must be at least 1"),
    "table": (("--csv", "no/table.csv"), "does not exist"),
}


@pytest.mark.parametrize(("more", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_errors_are_one_line_and_leave_nothing(refused, folder, more, message):
    assert message in refused("bench", *RECORDING, "--runs", "1", *more)
