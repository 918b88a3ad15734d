from __future__ import annotations

import pytest
import torch

from sj_models.necks import ClsBatchNormNeck


def test_each_feature_gets_mean_0_and_variance_1():
    neck = ClsBatchNormNeck(4)
    x = 3 + 2 * torch.randn(6, 5, 4)  # T=6, N=5
    (y,) = neck((x,))
    torch.testing.assert_close(y.mean((0, 1)), torch.zeros(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(y.var((0, 1), unbiased=False), torch.ones(4), rtol=1e-4, atol=0)


def test_in_evaluation_steps_do_not_mix():
    neck = ClsBatchNormNeck(4).eval()
    x = torch.randn(6, 5, 4)
    torch.testing.assert_close(neck(x), torch.stack([neck(step) for step in x]))


def test_parameters_only_if_asked_for():
    assert set(ClsBatchNormNeck(4).state_dict()) == {
        "bn.running_mean", "bn.running_var", "bn.num_batches_tracked",
    }  # fmt: skip
    assert "bn.weight" in ClsBatchNormNeck(4, affine=True).state_dict()


def test_feature_maps_are_refused():
    with pytest.raises(ValueError, match=r"ClsBatchNormNeck: expected \[N, C\]"):
        ClsBatchNormNeck(4)((torch.rand(2, 4, 3, 3),))
