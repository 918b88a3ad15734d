from __future__ import annotations

import pytest
import torch

from sj_models.heads import SpikeCountHead
from sj_neurons import functional, neuron


def test_scores_are_rates_of_populations():
    torch.manual_seed(0)
    head = SpikeCountHead(3, 4, neuron={"type": "IF"}, groups=5)
    assert isinstance(head.sn, neuron.IFNode)
    x = 4 * torch.rand(6, 2, 4)
    scores = head((x,))
    assert scores.shape == (6, 2, 3)
    functional.reset_net(head)
    spikes = head.sn(head.fc(x))
    torch.testing.assert_close(scores[:, :, 1], spikes[:, :, 5:10].mean(-1))
    functional.reset_net(head)
    rate = head.predict((x,))["pred_score"]
    torch.testing.assert_close(rate, spikes.unflatten(-1, (3, 5)).mean((0, -1)).softmax(-1))


def test_it_trains():
    head = SpikeCountHead(3, 4, groups=2, decode="sum")
    head.loss((torch.rand(6, 2, 4),), {"label": torch.tensor([0, 2])})["loss"].backward()
    assert head.fc.weight.grad.abs().sum() > 0


def test_errors():
    with pytest.raises(ValueError, match="groups must be 1 or more, got 0"):
        SpikeCountHead(3, 4, groups=0)
    with pytest.raises(ValueError, match="num_classes must be 1 or more, got 0"):
        SpikeCountHead(0, 4)
    with pytest.raises(ValueError, match="there is no neuron 'LIFF'; did you mean"):
        SpikeCountHead(3, 4, neuron="LIFF")
    with pytest.raises(ValueError, match=r"neurons need features \[T, N, C\], got shape \(2, 4\)"):
        SpikeCountHead(3, 4)((torch.rand(2, 4),))
