"""The GPU sampler, against a stand-in for nvidia-smi."""

import csv
import math
import stat
import sys
import time
from pathlib import Path

import pytest

from sj_neurons.monitor import GPUMonitor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Put a shell script in place of nvidia-smi; call with its commands."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(commands: str) -> Path:
        program = folder / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{commands}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program

    return install


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_samples_become_records_and_rows(nvidia_smi, tmp_path):
    nvidia_smi("echo '0, 37, 1024'; echo '2, [N/A], 512'")
    with GPUMonitor(tmp_path / "logs", gpu_ids=(0, 2), interval=0.01) as gpu:
        wait_for(lambda: len(gpu.records) >= 4)
    count = len(gpu.records)
    first, second = gpu.records[:2]
    assert (first["gpu"], first["utilization_percent"], first["memory_used_mib"]) == (0, 37, 1024)
    assert second["gpu"] == 2 and math.isnan(second["utilization_percent"])
    with (tmp_path / "logs" / "gpu_monitor.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count
    assert list(rows[0]) == ["time", "gpu", "utilization_percent", "memory_used_mib"]
    assert float(rows[0]["memory_used_mib"]) == 1024


def test_the_wanted_gpus_are_asked_for(nvidia_smi, tmp_path):
    nvidia_smi(f'echo "$@" > {tmp_path}/asked; echo "1, 0, 0"')
    gpu = GPUMonitor(gpu_ids=(1, 3), interval=60.0)
    wait_for(lambda: gpu.records)
    gpu.stop()
    assert "-i 1,3" in (tmp_path / "asked").read_text()


def test_sampling_waits_for_start_and_can_go_on(nvidia_smi):
    nvidia_smi("echo '0, 1, 2'")
    gpu = GPUMonitor(interval=60.0, start_now=False)
    gpu.stop()
    assert gpu.records == []
    gpu.start()
    gpu.start()
    wait_for(lambda: len(gpu.records) == 1)
    gpu.stop()
    gpu.start()
    wait_for(lambda: len(gpu.records) == 2)
    gpu.stop()


def test_a_failing_driver_ends_the_sampling_with_a_warning(nvidia_smi, caplog):
    nvidia_smi("exit 9")
    gpu = GPUMonitor(interval=0.01)
    wait_for(lambda: "GPUMonitor stops" in caplog.text)
    gpu.stop()
    assert gpu.records == []


def test_bad_arguments_and_a_missing_driver_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="nvidia-smi"):
        GPUMonitor()
    with pytest.raises(ValueError, match="gpu_ids"):
        GPUMonitor(gpu_ids=())
    with pytest.raises(ValueError, match=r"interval .* got 0"):
        GPUMonitor(interval=0)
