from __future__ import annotations

import torch

from sj_neurons.surrogate import ATan
from sj_nir.modules import Scale, Threshold


def test_a_scale_multiplies_and_learns():
    module = Scale(torch.tensor([1.0, 2.0]))
    y = module(torch.ones(4, 3, 2))
    assert torch.equal(y, torch.tensor([1.0, 2.0]).expand(4, 3, 2))
    y.sum().backward()
    assert module.scale.grad.tolist() == [12.0, 12.0]
    assert repr(module) == "Scale(elements=(2,))" and Scale(3.0)(torch.ones(1)).item() == 3.0


def test_a_threshold_fires_from_its_value_on():
    module = Threshold(torch.tensor([0.5, 1.0]), ATan())
    assert module(torch.tensor([[0.5, 0.9]])).tolist() == [[1.0, 0.0]]
    assert not module.threshold.requires_grad
    assert isinstance(module.surrogate_function, ATan)
    assert list(Threshold(0.1).state_dict()) == ["threshold"]
