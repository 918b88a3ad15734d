from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from sj_models.targets import VQKD


class Encoder(nn.Module):
    """Patches of 4 x 4 pixels."""

    out_channels = (6,)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 4, 4)

    def forward(self, x):
        return (self.conv(x),)


def tokenizer(**options) -> VQKD:
    torch.manual_seed(0)
    return VQKD(Encoder(), num_embed=8, embed_dims=4, **options)


X = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_one_word_per_patch_without_gradient():
    part = tokenizer()
    words = part(X)
    assert words.shape == (2, 4)
    assert words.dtype == torch.long
    assert not part(X.requires_grad_()).requires_grad
    features = part.encoder.conv(X)
    z = part.encode_task_layer(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert (part.quantize(z).indices.view(2, 4) == words).all()


def test_a_model_in_training_does_not_move_the_words():
    model = nn.ModuleDict({"target_generator": tokenizer()})
    before = copy.deepcopy(model.state_dict())
    assert model.train() is model
    model["target_generator"](X)
    assert not model["target_generator"].training
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_words_move_if_it_is_not_frozen():
    part = tokenizer(frozen=False)
    part(X)
    assert part.quantize.embedding.initted
    part.eval()
    words = part(X)
    assert (part(X) == words).all()
    assert part.encode(X).z_q.requires_grad


def test_encoder_that_is_a_config():
    arch = {"embed_dims": 8, "num_layers": 1, "num_heads": 2, "feedforward_channels": 8}
    config = {
        "arch": arch, "img_size": 8, "patch_size": 4, "out_type": "featmap",
        "use_abs_pos_emb": True, "use_rel_pos_bias": False, "layer_scale_init_value": 0.0,
    }  # fmt: skip
    part = VQKD(config, num_embed=8, embed_dims=4)
    assert type(part.encoder).__name__ == "BEiTViT"
    assert part(X).shape == (2, 4)


def test_encoder_that_says_its_width_otherwise():
    encoder = nn.Conv2d(3, 5, 4, 4)
    encoder.out_channels = None
    encoder.embed_dims = 5
    assert VQKD(encoder, num_embed=8, embed_dims=4)(X).shape == (2, 4)


def test_errors():
    with pytest.raises(ValueError, match="decoder_config must be None"):
        VQKD(Encoder(), decoder_config={})
    with pytest.raises(ValueError, match="must have out_channels, a tuple, or embed_dims"):
        VQKD(nn.Conv2d(3, 5, 4, 4))
    arch = {"embed_dims": 8, "num_layers": 1, "num_heads": 2, "feedforward_channels": 8}
    with pytest.raises(ValueError, match="the encoder must be an ANN"):
        VQKD({"arch": arch, "img_size": 8, "patch_size": 4, "neuron": "LIF"})
