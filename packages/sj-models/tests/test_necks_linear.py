from __future__ import annotations

import pytest
import torch

from sj_models.necks import LinearNeck
from sj_neurons import functional


@pytest.mark.parametrize(
    ("gap_dim", "positions"), [(0, ()), (1, (4,)), (2, (4, 5)), (3, (2, 4, 5))]
)
def test_shapes_with_and_without_time(gap_dim, positions):
    neck = LinearNeck(6, 3, gap_dim)
    assert neck((torch.rand(2, 6, *positions),))[0].shape == (2, 3)
    assert neck(torch.rand(4, 2, 6, *positions))[0].shape == (4, 2, 3)


def test_the_last_feature_counts_and_time_is_folded_for_the_norm():
    neck = LinearNeck(6, 3)
    x = torch.rand(4, 2, 6)
    (y,) = neck((torch.rand(9), x))
    torch.testing.assert_close(y.flatten(0, 1), neck.norm(neck.fc(x.flatten(0, 1))))
    torch.testing.assert_close(y.mean((0, 1)), torch.zeros(3), rtol=0, atol=1e-6)


def test_step_mode_of_the_net_does_not_reach_the_norm():
    neck = LinearNeck(6, 3).eval()
    x = torch.rand(2, 6)
    expected = neck(x)[0]
    functional.set_step_mode(neck, "m")
    torch.testing.assert_close(neck(x)[0], expected)


def test_without_norm_and_with_an_activation():
    neck = LinearNeck(6, 3, norm_cfg=None, act_cfg={"type": "ReLU"})
    assert set(neck.state_dict()) == {"fc.weight", "fc.bias"}
    x = torch.randn(5, 6)
    torch.testing.assert_close(neck(x)[0], neck.fc(x).relu())


def test_errors():
    with pytest.raises(ValueError, match="gap_dim must be 0 to 3, got 4"):
        LinearNeck(6, 3, 4)
    with pytest.raises(ValueError, match=r"LinearNeck: expected \[N, C\] or \[T, N, C\]"):
        LinearNeck(6, 3)(torch.rand(2, 6, 4, 4))
    with pytest.raises(TypeError, match="got dict"):
        LinearNeck(6, 3)({})
