from __future__ import annotations

import pytest
import torch

from sj_models.necks import BEiTV2Neck

L, D = 4, 8


def neck(**options) -> BEiTV2Neck:
    torch.manual_seed(0)
    return BEiTV2Neck(num_layers=1, embed_dims=D, num_heads=2, **options).eval()


def test_the_image_reaches_the_shortcut_only_through_the_class_token():
    part = neck()
    early, x = torch.rand(2, 1 + L, D), torch.rand(2, 1 + L, D)
    feats, shortcut = part((early, x))
    torch.testing.assert_close(feats, x[:, 1:])
    other = x.clone()
    other[:, 1:] += 1  # patches of the last layer do not count
    torch.testing.assert_close(part((early, other))[1], shortcut)
    other[:, 0] += 1
    other[:, 0, 0] += 1  # a change that a norm does not undo
    assert not torch.allclose(part((early, other))[1], shortcut)


def test_relative_positions_as_a_tensor_or_as_what_makes_them():
    part, x = neck(), torch.rand(2, 1 + L, D)
    bias = torch.randn(2, 1 + L, 1 + L)
    with_tensor = part((x, x), rel_pos_bias=bias)[1]
    torch.testing.assert_close(part((x, x), rel_pos_bias=lambda: bias)[1], with_tensor)
    assert not torch.allclose(part((x, x))[1], with_tensor)


def test_errors():
    with pytest.raises(ValueError, match="num_layers must be 1 or more, got 0"):
        BEiTV2Neck(num_layers=0)
    x = torch.rand(2, 1 + L, D)
    for inputs in ((x,), (x, x[:1]), (x[0], x[0])):
        with pytest.raises(ValueError, match="an early and the last layer"):
            neck()(inputs)
