"""How commands end that are stopped from outside."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sz_models.cli import main

RECORDING = ("a.dat", "--height", "12", "--width", "16")


def stopped(error: BaseException):
    def images(*_: object, **__: object) -> None:
        raise error

    return images


def test_an_interrupt_leaves_nothing(folder, capsys, monkeypatch):
    monkeypatch.setattr("sz_models.cli.reconstruct.image_at", stopped(KeyboardInterrupt()))
    before = sorted(folder.iterdir())
    assert main(["reconstruct", *RECORDING, "-o", "out.png"]) == 130
    output = capsys.readouterr()
    assert output.err == "sz-models: error: interrupted; nothing was written\n"
    assert output.out == ""
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("command", ["reconstruct", "compare"])
def test_memory_that_is_used_up_is_one_line(refused, folder, monkeypatch, command):
    error = MemoryError("base ran out of memory on an input of 1 x 41:\nmake it in tiles")
    monkeypatch.setattr(f"sz_models.cli.{command}.image_at", stopped(error))
    line = refused(command, *RECORDING, "-o", "out.png")
    assert "not enough memory: base ran out of memory" in line
    assert "41: make it in tiles" in line


def test_a_reader_that_has_seen_enough(folder):
    """``sz-models list | true`` ends quietly."""
    code = (
        "import os, sys; from sz_models.cli import main\n"
        "read, write = os.pipe(); os.close(read); os.dup2(write, 1); sys.exit(main(['list']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 141
    assert result.stderr == ""
