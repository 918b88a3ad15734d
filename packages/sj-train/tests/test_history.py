from __future__ import annotations

import math

import pytest

from sj_train import History


def test_scalars_by_tag():
    history = History()
    history.add(0, {"train_loss": 2.0})
    history.add(1, {"train_loss": 1.0})
    assert history["train_loss"] == [2.0, 1.0]
    assert history.last == {"train_loss": 1.0}
    assert len(history) == 2


def test_tags_may_come_and_go():
    history = History([0], {"train_loss": [2.0]})
    history.add(1, {"test_loss": 1.0})
    assert history["train_loss"] == pytest.approx([2.0, math.nan], nan_ok=True)
    assert history["test_loss"] == pytest.approx([math.nan, 1.0], nan_ok=True)
