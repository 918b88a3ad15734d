"""BEiT's transformer: relative positions, layer scale, masked tokens."""

import pytest
import torch

from sj_models.backbones.beit_vit import BEiTPretrainViT, BEiTViT, RelativePositionBias
from sj_neurons import functional

ARCH = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}
SIZE = {"arch": ARCH, "img_size": 16, "patch_size": 4}


def images(neuron, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((3, 2, 3, 16, 16) if neuron else (2, 3, 16, 16), generator=generator)


def pretrain(neuron=None, **options):
    torch.manual_seed(0)
    net = BEiTPretrainViT(**SIZE, neuron=neuron, **options)
    net.init_weights()
    return net.eval()


def test_one_number_for_each_offset():
    bias = RelativePositionBias((2, 3), 4)
    index = bias.relative_position_index
    offsets = {}
    for a in range(6):
        for b in range(6):
            offset = (a // 3 - b // 3, a % 3 - b % 3)
            assert offsets.setdefault(offset, index[1 + a, 1 + b].item()) == index[1 + a, 1 + b]
    assert sorted(offsets.values()) == list(range(15))
    assert set(index[0, 1:].tolist()) == {15}
    assert set(index[1:, 0].tolist()) == {16} and index[0, 0] == 17
    assert bias().shape == (4, 7, 7)


@pytest.mark.parametrize(
    ("own", "shared", "tables"), [(None, False, 2), (False, True, 1), (True, True, 3)]
)
def test_the_bias_moves_the_attention(own, shared, tables):
    net = BEiTViT(**SIZE, use_rel_pos_bias=own, use_shared_rel_pos_bias=shared).eval()
    before = net(images(None))[0]
    found = [p for name, p in net.named_parameters() if name.endswith("bias_table")]
    assert len(found) == tables
    for table in found:
        torch.nn.init.normal_(table)
    assert not torch.allclose(net(images(None))[0], before)


def test_queries_and_values_have_a_bias_and_keys_none():
    attention = BEiTViT(**SIZE).layers[0].attn
    torch.nn.init.normal_(attention.q_bias)
    torch.nn.init.normal_(attention.v_bias)
    q, k, v = attention.project(torch.zeros(1, 1, 16))[0, 0].split(16)
    assert torch.equal(q, attention.q_bias) and torch.equal(v, attention.v_bias)
    assert not k.any()
    bare = BEiTViT(**SIZE, qkv_bias=False).layers[0].attn
    assert bare.q_bias is None and not bare.project(torch.zeros(1, 1, 16)).any()


def test_layer_scale_is_one_number_per_channel():
    net = BEiTViT(**SIZE, layer_scale_init_value=0.3)
    assert (net.layers[1].gamma_2 == 0.3).all()
    assert BEiTViT(**SIZE, layer_scale_init_value=0.0).layers[0].gamma_1 is None
    net.layers[0].gamma_1.data.zero_()
    net.layers[0].gamma_2.data.zero_()
    x = torch.rand(1, 17, 16)
    assert torch.equal(net.layers[0](x), x)


def test_later_layers_start_with_smaller_projections():
    torch.manual_seed(0)
    plain = BEiTViT(**SIZE)
    plain.init_weights()
    net = pretrain()
    for number, layer in enumerate(net.layers, start=1):
        weight = layer.ffn.linears()[-1].weight
        bound = (6 / (16 + 32)) ** 0.5 / (2 * number) ** 0.5
        assert 0.8 * bound < weight.abs().max() <= bound
    assert net.mask_token.std() > 0 and net.cls_token.std() > 0


@pytest.mark.parametrize("neuron", [None, "LIF"])
@pytest.mark.parametrize("training", [False, True])
def test_nothing_of_a_masked_patch_is_seen(neuron, training):
    net = pretrain(neuron).train()
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the average of all batches, here of one
    net(images(neuron))
    functional.reset_net(net)
    net.train(training)
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, 1:3, 0:2] = True
    hidden = mask[:, None].repeat_interleave(4, 2).repeat_interleave(4, 3).float()
    x = images(neuron)
    other = x * (1 - hidden) + 5 * images(neuron, 1) * hidden
    first = net(x, mask)[0]
    functional.reset_net(net)
    assert torch.equal(net(other, mask.flatten(1))[0], first)
    assert first.any()
    functional.reset_net(net)
    assert not torch.equal(net(x)[0], first)


def test_masked_tokens_are_the_mask_token():
    net = pretrain()
    tokens = []
    net.layers[0].register_forward_pre_hook(lambda module, args: tokens.append(args[0]))
    mask = torch.zeros(2, 16)
    mask[0, 3] = mask[1, 7] = 1
    net(images(None), mask)
    torch.testing.assert_close(tokens[0][0, 1 + 3], net.mask_token[0, 0])
    torch.testing.assert_close(tokens[0][1, 1 + 3], net.patch_embed(images(None))[0][1, 3])


def test_positions_are_relative_in_anns_and_absolute_in_spiking_nets():
    ann, twin = BEiTViT(**SIZE), BEiTViT(**SIZE, neuron="LIF")
    assert ann.pos_embed is None and ann.layers[0].rel_pos_bias is not None
    assert twin.pos_embed.shape == (1, 16, 16)
    both = BEiTViT(**SIZE, use_abs_pos_emb=True)
    assert both.pos_embed is not None
    assert both.layers[0].rel_pos_bias is not None
    assert pretrain().rel_pos_bias is not None and pretrain("IF").rel_pos_bias is None


def test_wrong_arguments():
    for options in (
        {"neuron": "LIF", "use_rel_pos_bias": True},
        {"neuron": "LIF", "use_shared_rel_pos_bias": True},
        {"with_cls_token": False},
    ):
        with pytest.raises(ValueError, match="relative positions need an attention with softmax"):
            BEiTViT(**SIZE, **options)
    with pytest.raises(ValueError, match="with neuron= there are no"):
        BEiTViT(**SIZE, neuron="LIF", layer_scale_init_value=0.1)
    with pytest.raises(ValueError, match=r"grid of \(4, 4\) patches, got \(6, 4\)"):
        pretrain()(torch.rand(1, 3, 24, 16))
    with pytest.raises(ValueError, match=r"expected a mask \(2, 4, 4\) or \(2, 16\), got \(2, 9\)"):
        pretrain()(images(None), torch.zeros(2, 9))
    with pytest.raises(TypeError, match="mask must be a tensor or None, got True"):
        pretrain()(images(None), True)
