"""Attention layers against their equations, and the errors of inputs that do not fit."""

import pytest
import torch

from sj_layers import attention

T, N, C = 4, 2, 8


def rand(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("dimension", "space"), [(4, (C, 5, 5)), (2, (6,))])
def test_temporal_attention_weighs_whole_steps(dimension, space):
    layer = attention.TemporalWiseAttention(T, 2, dimension)
    x_seq = rand(T, N, *space)
    steps = x_seq.flatten(2).transpose(0, 1)  # [N, T, M]
    first, second = layer.sharedMLP[0].weight, layer.sharedMLP[2].weight

    def mlp(v):
        return torch.relu(v @ first.t()) @ second.t()

    scale = torch.sigmoid(mlp(steps.mean(2)) + mlp(steps.amax(2)))
    expected = (steps * scale.unsqueeze(2)).transpose(0, 1).reshape(x_seq.shape)
    torch.testing.assert_close(layer(x_seq), expected)
    with pytest.raises(ValueError, match="expected x with shape"):
        layer(x_seq[:3])


def test_multi_dimensional_attention_keeps_shape_and_passes_gradients():
    layer = attention.MultiDimensionalAttention(T, C, 2, 4, 7)
    x_seq = rand(T, N, C, 5, 5).requires_grad_(True)
    y = layer(x_seq)
    assert y.shape == x_seq.shape and (y >= 0).all()
    y.sum().backward()
    assert x_seq.grad.isfinite().all()
    assert all(p.grad is not None for p in layer.parameters())
    with pytest.raises(ValueError, match="expected x with shape"):
        layer(x_seq[0])
    last = x_seq.detach().flatten(0, 1).to(memory_format=torch.channels_last).unflatten(0, (T, N))
    same = layer(last)
    assert same.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(same, y)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: attention.TemporalWiseAttention(4, 5), "reduction of T must be from 1 to 4"),
        (lambda: attention.TemporalWiseAttention(16, dimension=3), "dimension must be 4 or 2"),
        (lambda: attention.MultiDimensionalAttention(16, 16, kernel_size=5), "must be 3 or 7"),
        (lambda: attention.MultiDimensionalAttention(16, 8), "reduction of C"),
        (lambda: attention.SpikingSelfAttention(10, 4), "multiple of num_heads"),
        (lambda: attention.QKAttention(8, 2, "both"), "'token' or 'channel'"),
    ],
)
def test_bad_arguments_are_refused(build, text):
    with pytest.raises(ValueError, match=text):
        build()


SPIKING = {
    "SpikingSelfAttention": lambda **kw: attention.SpikingSelfAttention(C, 2, **kw),
    "TokenQKAttention": lambda **kw: attention.TokenQKAttention(C, 2, **kw),
    "ChannelQKAttention": lambda **kw: attention.ChannelQKAttention(C, 2, **kw),
}


@pytest.mark.parametrize("name", SPIKING)
def test_spiking_attention_gives_spikes_on_either_backend(name):
    torch.manual_seed(0)
    layer = SPIKING[name]()
    torch.manual_seed(0)
    fused = SPIKING[name](backend="cpp")
    x_seq = 3 * rand(T, N, C, 6)
    y = layer(x_seq)
    assert set(y.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(fused(x_seq), y)
    y.sum().backward()
    assert layer.proj_conv_bn[0].weight.grad.isfinite().all()
    with pytest.raises(ValueError, match=f"C={C}"):
        layer(x_seq[:, :, :4])
    with pytest.raises(ValueError, match="step_mode"):
        layer.step_mode = "s"


def test_a_token_mask_drops_whole_tokens():
    layer = attention.TokenQKAttention(C, 2)
    seen = []
    layer.attn_lif.register_forward_hook(lambda m, args, y: seen.append(y))
    layer(3 * rand(T, N, C, 6))
    assert seen[0].shape == (T, N, 2, 1, 6)
