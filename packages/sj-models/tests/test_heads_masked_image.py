from __future__ import annotations

import torch

from sj_models.heads import MIMHead
from sj_models.losses import CosineSimilarityLoss


def test_the_loss_gets_prediction_target_and_mask():
    loss = CosineSimilarityLoss()
    pred, target, mask = torch.rand(2, 4, 3), torch.rand(2, 4, 3), torch.eye(2, 4)
    torch.testing.assert_close(MIMHead(loss).loss(pred, target, mask), loss(pred, target, mask))
    config = {"type": "CosineSimilarityLoss"}
    torch.testing.assert_close(MIMHead(config).loss(pred, target), loss(pred, target))
