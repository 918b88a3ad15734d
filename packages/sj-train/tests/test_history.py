from __future__ import annotations

import pytest

from sj_train import History


def test_scalars_by_tag():
    history = History()
    history.add(0, {"train_loss": 2.0})
    history.add(1, {"train_loss": 1.0})
    assert history["train_loss"] == [2.0, 1.0]
    assert history.last == {"train_loss": 1.0}
    assert len(history) == 2


def test_changing_tags_are_refused():
    history = History([0], {"train_loss": [2.0]})
    with pytest.raises(ValueError, match=r"test_loss.*train_loss"):
        history.add(1, {"test_loss": 1.0})
