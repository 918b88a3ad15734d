from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_models.build import build
from sj_models.heads import LinearClsHead


@given(st.integers(1, 6), st.integers(0, 100))
def test_the_mean_before_the_layer_equals_the_mean_after_it(t, seed):
    torch.manual_seed(seed)
    head = LinearClsHead(5, 4)
    x = (torch.rand(t, 3, 4) > 0.5).float()
    torch.testing.assert_close(head.decoded(head((x,))), head((x.mean(0),)))


def test_start_of_the_weights():
    torch.manual_seed(0)
    head = build({"type": "LinearClsHead", "num_classes": 50, "in_channels": 100})
    assert head.fc.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not head.fc.bias.any()
    assert head.config == {"type": "LinearClsHead", "num_classes": 50, "in_channels": 100}


def test_errors_say_what_to_change():
    with pytest.raises(ValueError, match="num_classes must be 1 or more, got 0"):
        LinearClsHead(0, 4)
    for wrong in (True, "3", 2.0):
        with pytest.raises(TypeError, match="num_classes must be an integer"):
            LinearClsHead(wrong, 4)
    head = LinearClsHead(5, 4)
    with pytest.raises(ValueError, match="in_channels=4, but the features have 6 channels"):
        head((torch.rand(2, 6),))
    with pytest.raises(ValueError, match="add a neck such as GlobalAveragePooling"):
        head((torch.rand(2, 4, 3, 3),))
    with pytest.raises(TypeError, match="expected a tensor or a tuple, got dict"):
        head({})
