"""QKFormer."""

from __future__ import annotations

import pytest
import torch

from sj_models import qkformer
from sj_models.transformer_parts import Neurons
from sj_neurons import functional


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("qkformer_10_384", 16_472_584),
        ("qkformer_10_512", 29_077_864),
        ("qkformer_10_768", 64_960_552),
    ],
)
def test_parameters_of_the_sizes(name, parameters):
    with torch.device("meta"):
        net = getattr(qkformer, name)()
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters


def test_heads_and_depths_of_the_sizes():
    with torch.device("meta"):
        net = qkformer.qkformer_10_384()
    stages = (net.stage1, net.stage2, net.stage3)
    assert [stage[0].attn.num_heads for stage in stages] == [6, 6, 6]
    assert [len(stage) for stage in stages] == [1, 2, 7]


class Recorder(torch.nn.Module):
    """Passes on what it sees."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = x
        return x


@pytest.mark.parametrize("qka_type", ["token", "channel"])
def test_attention_is_its_formula(qka_type):
    heads, width, tokens = 2, 4, 6
    layer = qkformer.QKAttention(heads * width, heads, qka_type, Neurons("test", None, {}))
    functional.set_step_mode(layer, "m")
    generator = torch.Generator().manual_seed(0)
    qk = torch.rand(5, 2, 2 * heads * width, tokens, generator=generator).round()
    layer.qk_conv_bn, layer.qk_lif = torch.nn.Identity(), torch.nn.Identity()
    layer.proj_conv_bn, layer.proj_lif = Recorder(), torch.nn.Identity()

    q, k = qk.double().view(5, 2, 2, heads, width, tokens).unbind(2)
    sums = q.sum(3, keepdim=True) if qka_type == "token" else q.sum(4, keepdim=True)
    v, passes = torch.zeros_like(sums[0]), []
    for total in sums:
        h = v + (total - v) / 2.0
        passes.append((h >= 0.5).double())
        v = h * (h < 0.5)
    expected = (torch.stack(passes) * k).flatten(2, 3)
    assert 0 < expected.mean() < k.mean()

    y = layer(qk)
    torch.testing.assert_close(y.double(), expected, rtol=0, atol=0)
    assert f"qka_type={qka_type}" in repr(layer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"qka_type": "head"}, "qka_type must be 'token' or 'channel', got 'head'"),
        ({"depths": (1, 1)}, "depths must be 3 whole numbers"),
        ({"depths": (1, 0, 1)}, "depths must be 3 whole numbers"),
        ({"depths": 3}, "depths must be 3 whole numbers"),
        ({"num_heads": (1, 1)}, "num_heads must be 3 whole numbers"),
    ],
)
def test_wrong_arguments(arguments, message):
    size = {"embed_dims": 8, "num_heads": (1, 1, 1), "depths": (1, 1, 1)}
    with pytest.raises(ValueError, match=message):
        qkformer.QKFormer(**{**size, **arguments})


def test_channel_attention_in_the_network():
    net = qkformer.QKFormer(
        2, embed_dims=8, num_heads=(1, 1, 1), depths=(1, 1, 1), num_classes=3, qka_type="channel"
    )
    assert net(torch.rand(2, 3, 16, 16)).shape == (2, 2, 3)
    assert [stage[0].attn.qka_type for stage in (net.stage1, net.stage2)] == ["channel"] * 2
