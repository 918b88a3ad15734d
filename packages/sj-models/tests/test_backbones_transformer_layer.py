"""The encoder layer: attention in closed form, scales, initialisation."""

import pytest
import torch

from sj_models.backbones.transformer_layer import FFN, MultiheadAttention, TransformerEncoderLayer


def test_attention_is_the_softmax_of_scaled_products():
    torch.manual_seed(0)
    attention = MultiheadAttention(8, 2).eval()
    x, bias = torch.rand(3, 5, 8), torch.randn(2, 5, 5)
    q, k, v = attention.qkv(x).view(3, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
    weights = (q @ k.transpose(-1, -2) / 2.0 + bias).softmax(-1)  # sqrt(d) = 2
    mixed = (weights @ v).transpose(1, 2).reshape(3, 5, 8)
    torch.testing.assert_close(attention(x, bias), attention.proj(mixed))


def test_layer_is_two_branches_with_shortcuts():
    torch.manual_seed(0)
    layer = TransformerEncoderLayer(8, 2, 16, layer_scale_init_value=0.5, drop_path_rate=0.3).eval()
    x = torch.rand(2, 3, 8)
    middle = x + layer.attn(layer.ln1(x))
    torch.testing.assert_close(layer(x), middle + layer.ffn(layer.ln2(middle)))
    assert "attn.gamma1.weight" in layer.state_dict()


def test_layer_scale_starts_small_branches():
    torch.manual_seed(0)
    x = torch.rand(1, 3, 8)
    attention = MultiheadAttention(8, 2, layer_scale_init_value=0.1)
    bare = MultiheadAttention(8, 2)
    bare.load_state_dict(attention.state_dict(), strict=False)
    torch.testing.assert_close(attention(x), 0.1 * bare(x))


def test_initialisation_of_the_mlp():
    torch.manual_seed(0)
    layer = TransformerEncoderLayer(32, 2, 64, num_fcs=3)
    layer.init_weights()
    first, second, last = layer.ffn.linears()
    assert (first.out_features, second.out_features, last.out_features) == (64, 64, 32)
    for linear in (first, second, last):
        bound = (6 / (linear.in_features + linear.out_features)) ** 0.5
        assert linear.weight.abs().max().item() <= bound
        assert 0 < linear.bias.abs().max().item() < 1e-5


def test_attention_dropout_acts_in_training_only():
    torch.manual_seed(0)
    attention = MultiheadAttention(8, 2, attn_drop_rate=0.9)
    x = torch.rand(2, 6, 8)
    assert not torch.equal(attention.train()(x), attention.eval()(x))


def test_bad_sizes():
    with pytest.raises(ValueError, match="3 heads of 8 dims"):
        MultiheadAttention(8, 3)
    with pytest.raises(ValueError, match="num_fcs must be at least 2"):
        FFN(8, 16, num_fcs=1)
