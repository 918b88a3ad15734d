from __future__ import annotations

import pytest
import torch

from sj_models.build import build
from sj_models.heads import VisionTransformerClsHead


def test_hidden_layer_with_its_activation():
    head = VisionTransformerClsHead(5, 4, hidden_dim=3, act_cfg={"type": "ReLU"})
    x = torch.randn(2, 4)
    hidden = head.layers.pre_logits(x).relu()
    torch.testing.assert_close(head.pre_logits((x,)), hidden)
    torch.testing.assert_close(head((x,)), head.layers.head(hidden))


def test_last_item_of_a_list_is_the_class_token():
    head = VisionTransformerClsHead(5, 4)
    patches, token = torch.rand(2, 9, 4), torch.rand(2, 4)
    torch.testing.assert_close(head.pre_logits((None, [patches, token])), token)


def test_spiking_tokens_keep_time():
    head = VisionTransformerClsHead(5, 4, hidden_dim=3)
    assert head((torch.rand(6, 2, 4),)).shape == (6, 2, 5)


def test_start_of_the_weights():
    torch.manual_seed(0)
    config = {"type": "VisionTransformerClsHead", "num_classes": 5, "in_channels": 64}
    head = build(config | {"hidden_dim": 200})
    assert not head.layers.head.weight.any()
    assert head.layers.pre_logits.weight.std().item() == pytest.approx(1 / 8, rel=0.05)
    assert not head.layers.pre_logits.bias.any()
    assert not build(config).layers.head.weight.any()


def test_errors():
    with pytest.raises(ValueError, match="num_classes must be 1 or more, got -1"):
        VisionTransformerClsHead(-1, 4)
    with pytest.raises(ValueError, match="VisionTransformerClsHead: in_channels=4, but"):
        VisionTransformerClsHead(5, 4)((torch.rand(2, 3),))
