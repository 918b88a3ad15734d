"""The demo of the README, as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "docs" / "examples" / "demo.py"
PICTURES = ["learning_curve.png", "encoder.png", "raster.png", "reconstruction.png"]


def run_demo(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DEMO), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def test_learns_digits_rebuilds_a_picture_and_keeps_every_spike(tmp_path):
    shown = run_demo("--out", tmp_path)
    assert shown.returncode == 0, shown.stderr
    rows = {line.split("  ")[0]: line for line in shown.stdout.splitlines()}
    assert float(rows["test accuracy"].split()[2]) >= 0.97
    assert "0 of" in rows["NIR round trip"]
    assert "dB" in rows["GTFP (sigma 5)"]
    for name in PICTURES:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "digits.nir").stat().st_size > 0
    assert list((tmp_path / "logs").glob("events*"))
    assert (tmp_path / "checkpoints" / "checkpoint_latest.pth").is_file()
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--spikes", "nothing.dat", "--height", 250, "--width", 400), "nothing.dat"),
        (("--truth", "truth.png"), "--truth needs --spikes"),
        (("--spikes", "short.dat", "--height", 250, "--width", 400), "short.dat"),
    ],
)
def test_bad_input_is_one_line_before_any_work(arguments, message, tmp_path, forked_script):
    (tmp_path / "short.dat").write_bytes(bytes(100))
    shown = forked_script(DEMO, tmp_path, "--out", tmp_path / "out", *arguments)
    assert shown.returncode == 2
    assert message in shown.stderr.splitlines()[-1]
    assert "Traceback" not in shown.stderr
    assert not (tmp_path / "out").exists()
