from __future__ import annotations

import io
import sys

import pytest

from sj_train.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "enabled", "shown"),
    [(Terminal, True, True), (Terminal, False, False), (io.StringIO, True, False)],
    ids=["terminal", "switched off", "no terminal"],
)
def test_the_bar_shows_on_terminals_only(monkeypatch, stream, enabled, shown):
    stderr = stream()
    monkeypatch.setattr(sys, "stderr", stderr)
    assert list(progress_bar([1, 2], "epoch 3 train", enabled)) == [1, 2]
    assert ("epoch 3 train" in stderr.getvalue()) == shown
