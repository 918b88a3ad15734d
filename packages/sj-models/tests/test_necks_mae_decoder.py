from __future__ import annotations

import pytest
import torch

from sj_models.necks import MAEPretrainDecoder

L, KEEP, D = 9, 4, 6


def decoder(**options) -> MAEPretrainDecoder:
    torch.manual_seed(0)
    sizes = {
        "num_patches": L, "patch_size": 2, "in_chans": 1, "embed_dim": D, "decoder_embed_dim": 8,
        "decoder_depth": 1, "decoder_num_heads": 2,
    }  # fmt: skip
    neck = MAEPretrainDecoder(**(sizes | options))
    neck.init_weights()
    return neck.eval()


def restore(n: int = 2) -> torch.Tensor:
    return torch.rand(n, L, generator=torch.Generator().manual_seed(0)).argsort(1)


def test_one_prediction_per_patch():
    x = torch.rand(2, 1 + KEEP, D)
    assert decoder()(x, restore()).shape == (2, L, 4)
    assert decoder(predict_feature_dim=11)(x, restore()).shape == (2, L, 11)


def test_steps_share_the_mask_and_do_not_mix():
    neck, x, ids = decoder(), torch.rand(3, 2, 1 + KEEP, D), restore()
    torch.testing.assert_close(neck(x, ids), torch.stack([neck(step, ids) for step in x]))


def test_tokens_go_back_to_their_places():
    neck = decoder(decoder_depth=0)
    neck.ln1 = torch.nn.Identity()
    neck.decoder_pos_embed.zero_()
    x, ids = torch.rand(2, 1 + KEEP, D), restore()
    y = neck(x, ids)
    visible = neck.decoder_pred(neck.decoder_embed(x[:, 1:]))
    hidden = neck.decoder_pred(neck.mask_token)[0, 0]
    for n in range(2):
        for place, rank in enumerate(ids[n].tolist()):
            expected = visible[n, rank] if rank < KEEP else hidden
            torch.testing.assert_close(y[n, place], expected)


def test_without_a_class_token_no_visible_patch_is_lost():
    neck, x, ids = decoder(decoder_depth=0), torch.rand(2, KEEP, D), restore()
    token = torch.rand(2, 1, D)
    with_token = neck(torch.cat((token, x), 1), ids)
    torch.testing.assert_close(neck(x, ids, cls_token=False), with_token)


def test_the_position_embedding_is_fixed_and_the_mask_token_learns():
    neck = decoder()
    assert not neck.decoder_pos_embed.requires_grad
    assert neck.mask_token.abs().sum() > 0
    neck(torch.rand(2, 1 + KEEP, D), restore()).sum().backward()
    assert neck.mask_token.grad.abs().sum() > 0


def test_grids_that_are_not_square():
    neck = decoder(num_patches=(1, 9))
    assert neck(torch.rand(2, 1 + KEEP, D), restore()).shape == (2, L, 4)
    with pytest.raises(ValueError, match=r"8 patches are no square; give \(height, width\)"):
        decoder(num_patches=8)


def test_tokens_that_do_not_fit():
    with pytest.raises(ValueError, match=r"num_patches=9, but ids_restore has shape \(2, 8\)"):
        decoder()(torch.rand(2, 1 + KEEP, D), restore()[:, :8])
    with pytest.raises(ValueError, match="from 1 to 9 visible patches and a class token"):
        decoder()(torch.rand(2, L + 2, D), restore())
    with pytest.raises(ValueError, match="from 1 to 9 visible patches, got"):
        decoder()(torch.rand(2, L + 1, D), restore(), cls_token=False)
    with pytest.raises(ValueError, match=r"expected \[N, L, D\]"):
        decoder()(torch.rand(KEEP, D), restore())
