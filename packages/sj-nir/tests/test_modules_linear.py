from __future__ import annotations

import pytest
import torch

from sj_nir.modules import StackedLinear


@pytest.mark.parametrize("bias", [None, torch.rand(4), torch.rand(2, 5, 4)])
def test_every_place_has_a_matrix_of_its_own(bias):
    weight, x = torch.rand(2, 5, 4, 3), torch.rand(6, 2, 5, 3)
    module = StackedLinear(weight, bias)
    expected = torch.einsum("abij,nabj->nabi", weight, x) + (0 if bias is None else bias)
    torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(module(x.expand(2, 6, 2, 5, 3))[1], expected)
    assert f"bias={bias is not None}" in repr(module)
