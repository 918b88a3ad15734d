from __future__ import annotations

import torch
from torch.nn import functional as F

from sj_nir.modules import WidePool2d


def test_zeros_reach_further_than_half_a_kernel():
    x = torch.rand(2, 3, 1, 4, 4)
    expected = F.avg_pool2d(F.pad(x[0], (2, 2, 3, 3)), (2, 2), (1, 2))
    assert torch.equal(WidePool2d((2, 2), (1, 2), (3, 2))(x[0]), expected)
    many = WidePool2d((2, 2), (1, 2), (3, 2), divisor_override=1, step_mode="m")
    torch.testing.assert_close(many(x)[0], 4 * expected)
    assert "wide_padding=(3, 2)" in repr(many)
