from __future__ import annotations

import pytest
import torch

from sj_models.build import build
from sj_models.heads import BEiTV1Head, BEiTV2Head

N, L, D, V = 2, 4, 6, 5
MASK = torch.tensor([[[1, 0], [0, 1]], [[0, 0], [0, 1]]])


def test_only_hidden_patches_count():
    head = BEiTV1Head(D, V)
    feats, target = torch.rand(N, 1 + L, D), torch.rand(N, V, 2, 2)
    loss = head.loss(feats, target, MASK)
    other = feats + 1
    hidden = MASK.flatten(1).bool()
    other[:, 1:][hidden] = feats[:, 1:][hidden]
    torch.testing.assert_close(head.loss(other, target, MASK), loss)


def test_logits_or_words_and_tokens_with_or_without_class_token():
    head = BEiTV1Head(D, V)
    feats, target = torch.rand(N, 1 + L, D), torch.rand(N, V, 2, 2)
    loss = head.loss(feats, target, MASK)
    words = target.argmax(1).flatten(1)
    torch.testing.assert_close(head.loss(feats, words, MASK.flatten(1)), loss)
    torch.testing.assert_close(head.loss(feats[:, 1:], words, MASK), loss)


def test_nothing_hidden_gives_0_with_a_graph():
    head = BEiTV1Head(D, V)
    loss = head.loss(torch.rand(N, 1 + L, D), torch.rand(N, V, 2, 2), torch.zeros_like(MASK))
    assert loss.item() == 0
    loss.backward()
    assert not head.cls_head.weight.grad.any()


def test_both_features_share_the_classifier():
    head = BEiTV2Head(D, V)
    feats, shortcut = torch.rand(2, N, L, D)
    words = torch.randint(V, (N, L))
    first, second = head.loss(feats, shortcut, words, MASK)
    swapped = head.loss(shortcut, feats, words, MASK)
    torch.testing.assert_close((second, first), swapped)
    assert set(head.state_dict()) == {"cls_head.weight", "cls_head.bias"}


def test_loss_from_a_config_and_start_of_the_weights():
    torch.manual_seed(0)
    loss = {"type": "LabelSmoothLoss", "label_smooth_val": 0.1}
    head = build({"type": "BEiTV2Head", "embed_dims": 50, "num_embed": 50, "loss": loss})
    assert head.loss_module.label_smooth_val == 0.1
    assert head.cls_head.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_patches_that_do_not_fit():
    with pytest.raises(ValueError, match="do not have the same patches"):
        BEiTV1Head(D, V).loss(torch.rand(N, 7, D), torch.rand(N, V, 2, 2), MASK)
    with pytest.raises(ValueError, match="BEiTV2Head: tokens"):
        x = torch.rand(N, L, D)
        BEiTV2Head(D, V).loss(x, x, torch.zeros(N, 3, dtype=torch.long), MASK)
