from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_models.heads import decode_time


@given(st.integers(1, 6))
def test_readings_of_time(t):
    o = torch.randn(t, 2, 3)
    torch.testing.assert_close(decode_time(o, "sum"), t * decode_time(o))
    running = decode_time(o, "cummean")
    for step in range(t):
        torch.testing.assert_close(running[step], decode_time(o[: step + 1]))
    assert (decode_time(o, "max") >= decode_time(o, "last")).all()


def test_gradient_of_the_running_mean():
    o = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: decode_time(x, "cummean"), o)


def test_errors():
    with pytest.raises(ValueError, match=r"decode must be one of .*got 'median'"):
        decode_time(torch.rand(1, 2, 3), "median")
    for shape in ((2, 3), (0, 2, 3)):
        with pytest.raises(ValueError, match=r"expected scores \[T, N, K\] with T > 0"):
            decode_time(torch.zeros(shape))
