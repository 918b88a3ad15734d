from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sz_models.mirror import mirror_pad

border = st.integers(0, 12)


@given(st.integers(1, 6), st.integers(1, 6), border, border, border, border)
def test_any_border_mirrors_as_numpy_does(height, width, left, right, top, bottom):
    x = np.arange(2 * 3 * height * width, dtype=np.float32).reshape(2, 3, height, width)
    expected = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), mode="reflect")
    for given_type in (torch.float32, torch.uint8):
        source = torch.from_numpy(x).to(given_type)
        padded = mirror_pad(source, left, right, top, bottom)
        assert padded.dtype is given_type
        torch.testing.assert_close(padded, torch.from_numpy(expected).to(given_type))


@pytest.mark.parametrize("border", [2, 5])
def test_gradients_flow_back_to_the_mirrored_pixels(border):
    x = torch.zeros(1, 1, 4, 4, requires_grad=True)
    mirror_pad(x, border, border, border, border).sum().backward()
    assert x.grad is not None
    assert x.grad.sum() == (4 + 2 * border) ** 2
