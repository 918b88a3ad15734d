from __future__ import annotations

import pytest
import torch

from sj_models.necks import GlobalAveragePooling


@pytest.mark.parametrize(("dim", "positions"), [(1, (5,)), (2, (5, 7)), (3, (2, 5, 7))])
def test_time_is_kept_and_steps_do_not_mix(dim, positions):
    pool = GlobalAveragePooling(dim)
    x = torch.rand(4, 3, 6, *positions)
    y = pool(x)
    assert y.shape == (4, 3, 6)
    torch.testing.assert_close(y, torch.stack([pool(step) for step in x]))
    torch.testing.assert_close(y[0], x[0].flatten(2).mean(-1))


def test_channels_last_and_an_empty_batch():
    x = torch.rand(2, 3, 4, 5)
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(GlobalAveragePooling()(last), x.mean((2, 3)))
    assert GlobalAveragePooling()(x[:0]).shape == (0, 3)


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3, 4, 5, 6)])
def test_another_rank_is_refused(shape):
    with pytest.raises(ValueError, match=r"\(dim=2\): expected \[N, C, H, W\] or \[T"):
        GlobalAveragePooling()((torch.rand(shape),))


def test_wrong_arguments():
    with pytest.raises(ValueError, match="dim must be 1, 2 or 3, got 4"):
        GlobalAveragePooling(4)
    with pytest.raises(TypeError, match="expected a tensor or a tuple, got list"):
        GlobalAveragePooling()([torch.rand(1, 1, 1, 1)])


def test_no_parameters_and_a_short_repr():
    pool = GlobalAveragePooling(3)
    assert not pool.state_dict()
    assert repr(pool) == "GlobalAveragePooling(dim=3)"
