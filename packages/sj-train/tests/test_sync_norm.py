from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from sj_train import sums
from sj_train.sync_norm import synchronised


@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"affine": False}])
@pytest.mark.parametrize("training", [True, False])
def test_one_process_gives_the_plain_layer(options, training):
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(3, **options)
    ours = synchronised(copy.deepcopy(plain))
    results = []
    for norm in (plain, ours):
        norm.train(training)
        x = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(1)).requires_grad_()
        y = [norm(x), norm(2 * x + 1)][1]
        y.pow(3).sum().backward()
        results.append((y.detach(), x.grad, norm.state_dict()))
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-5)


def test_without_running_statistics():
    norm = synchronised(nn.BatchNorm1d(2, track_running_stats=False))
    x = torch.randn(8, 2)
    torch.testing.assert_close(norm(x).mean(0), torch.zeros(2), atol=1e-6, rtol=0)


def test_layers_that_fold_time_keep_doing_so():
    class Folded(nn.BatchNorm1d):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return super().forward(input.flatten(0, 1)).unflatten(0, input.shape[:2])

    x = torch.randn(3, 4, 2)
    norm = synchronised(Folded(2))
    torch.testing.assert_close(norm(x), Folded(2)(x))
    assert isinstance(copy.deepcopy(norm), Folded)


def test_other_layers_are_refused():
    with pytest.raises(TypeError, match="LazyLike cannot be synchronised"):
        synchronised(type("LazyLike", (nn.modules.batchnorm._BatchNorm,), {})(2))


def test_the_sum_of_one_process_is_its_own():
    x = torch.ones(2)
    assert sums.over_processes(x) is x
