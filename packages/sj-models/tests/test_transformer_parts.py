"""Laws that all spiking transformers obey, and the parts they share."""

from __future__ import annotations

import copy
import inspect

import pytest
import torch
from torch import nn

import sj_layers
from sj_models import transformer_parts as parts
from sj_models.e_spikeformer import ESpikeFormer
from sj_models.maxformer import MaxFormer
from sj_models.qkformer import QKFormer
from sj_models.spike_driven_transformer import SpikeDrivenTransformer
from sj_models.spikformer import Spikformer, spikformer_ti
from sj_models.spikingformer import Spikingformer
from sj_neurons import functional, neuron

T, N = 2, 3
FAMILIES = {
    "spikformer": (Spikformer, {"embed_dims": 16, "num_heads": 2, "depths": 1}),
    "qkformer": (QKFormer, {"embed_dims": 16, "num_heads": (1, 2, 2), "depths": (1, 1, 1)}),
    "sdt": (SpikeDrivenTransformer, {"embed_dims": 16, "num_heads": 2, "depths": 1}),
    "spikingformer": (Spikingformer, {"embed_dims": 16, "num_heads": 2, "depths": 1}),
    "maxformer": (MaxFormer, {"embed_dims": 16, "depths": (1, 1, 1)}),
    "e_spikeformer": (
        ESpikeFormer,
        {"embed_dims": (8, 8, 16, 16), "num_heads": 2, "depths": (1, 1)},
    ),
}
LIF_FAMILIES = [name for name in FAMILIES if name != "e_spikeformer"]


def tiny(family: str, **arguments: object) -> nn.Module:
    torch.manual_seed(0)
    model, size = FAMILIES[family]
    return model(**{"T": T, "num_classes": 5, **size, **arguments})


def lively(net: nn.Module) -> nn.Module:
    """With norms that let neurons fire in eval mode too."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 1.0, 3.0, generator=generator)
            nn.init.uniform_(module.bias, 0.0, 2.0, generator=generator)
    return net.eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(N, 3, 32, 32, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_is_a_sequence_of_equal_steps(family, images):
    net = lively(tiny(family))
    with torch.no_grad():
        from_image = net(images)
        functional.reset_net(net)
        from_sequence = net(images.repeat(T, 1, 1, 1, 1))
    assert from_image.shape == (T, N, 5)
    assert from_image.std() > 0
    torch.testing.assert_close(from_image, from_sequence)


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_read_the_steps(family, images):
    nets = {output: lively(tiny(family, output=output)) for output in ("steps", "mean", "last")}
    with torch.no_grad():
        scores = {output: net(images) for output, net in nets.items()}
    torch.testing.assert_close(scores["mean"], scores["steps"].mean(0))
    torch.testing.assert_close(scores["last"], scores["steps"][-1])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_learns(family, images):
    net = tiny(family).train()
    net(images).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_copy_computes_the_same_and_keeps_to_itself(family, images):
    net = lively(tiny(family))
    net(images)
    twin = copy.deepcopy(net)
    functional.reset_net(net)
    functional.reset_net(twin)
    with torch.no_grad():
        torch.testing.assert_close(net(images), twin(images), rtol=0, atol=0)
        twin.head.weight.zero_()
    assert net.head.weight.abs().sum() > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_small_images_of_events(family):
    net = tiny(family, in_channels=2, small_images=True)
    scores = net(torch.rand(T, N, 2, 8, 8))
    assert scores.shape == (T, N, 5)


@pytest.mark.parametrize("family", FAMILIES)
def test_places_are_a_quarter_of_small_images_and_a_sixteenth_of_others(family):
    for small, side in ((True, 8), (False, 2)):
        net = tiny(family, small_images=small)
        features = net.features(torch.rand(T, 1, 3, 32, 32)).flatten(3)
        assert features.shape[3] == side**2


@pytest.mark.parametrize("family", FAMILIES)
def test_single_steps_are_refused(family):
    with pytest.raises(ValueError, match="step_mode can only be"):
        functional.set_step_mode(tiny(family), "s")


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_fused_networks_compute_the_same(family, training, images):
    net = lively(tiny(family).double())
    fused = sj_layers.fuse(net, training=training)
    with torch.no_grad():
        torch.testing.assert_close(fused(images.double()), net(images.double()))


@pytest.mark.parametrize("family", LIF_FAMILIES)
@pytest.mark.parametrize("spec", [neuron.ParametricLIFNode, "IF", {"type": "PSN", "T": T}])
def test_neurons_by_class_name_and_config(family, spec, images):
    net = tiny(family, spiking_neuron=spec)
    kinds = {type(module) for module in net.modules() if isinstance(module, neuron.BaseNode)}
    assert len(kinds) <= 1
    assert net(images).shape == (T, N, 5)


@pytest.mark.parametrize("family", LIF_FAMILIES)
def test_arguments_reach_every_neuron_and_the_attention_keeps_its_threshold(family):
    net = tiny(family, v_threshold=2.0, tau=3.0)
    nodes = {n: m for n, m in net.named_modules() if isinstance(m, neuron.LIFNode)}
    assert {node.tau for node in nodes.values()} == {3.0}
    assert all(node.detach_reset for node in nodes.values())
    for name, node in nodes.items():
        assert node.v_threshold == (0.5 if name.endswith("attn_lif") else 2.0)
    assert len({id(node.surrogate_function) for node in nodes.values()}) == len(nodes)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"T": 0}, "T must be a whole number of at least 1, got 0"),
        ({"T": "4"}, "T must be a whole number of at least 1, got '4'"),
        ({"T": 2.0}, "T must be a whole number of at least 1, got 2.0"),
        ({"in_channels": 0}, "in_channels must be a whole number"),
        ({"num_classes": 0}, "num_classes must be a whole number"),
        ({"num_classes": "10"}, "num_classes must be a whole number"),
        ({"mlp_ratio": 0}, "mlp_ratio must give at least one of .* channels, got 0"),
        ({"output": "all"}, "output must be one of"),
    ],
)
def test_numbers_out_of_range(family, arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(family, **arguments)


@pytest.mark.parametrize("family", LIF_FAMILIES)
def test_channels_and_heads_must_fit(family):
    with pytest.raises(ValueError, match="embed_dims must be a multiple of 8, got 12"):
        tiny(family, embed_dims=12)
    if family != "maxformer":
        heads = (3, 3, 3) if family == "qkformer" else 3
        with pytest.raises(ValueError, match=r"multiple of num_heads, got .* num_heads=3"):
            tiny(family, num_heads=heads)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_wrong_argument_of_the_model_is_named(family):
    with pytest.raises(TypeError, match="no argument 'embed_dim'; did you mean 'embed_dims'"):
        tiny(family, embed_dim=8)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_wrong_argument_of_the_neuron_is_named(family):
    with pytest.raises(TypeError, match="takes no argument 'v_treshold'"):
        tiny(family, v_treshold=1.0)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 2, 8, 8), (2, 1, 1, 8, 8), (1, 1, 1, 3, 8, 8)])
def test_time_axis_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"C=3 channels, got shape \(" + str(shape[0])):
        parts.TimeAxis(T, 3)(torch.rand(shape))


@pytest.mark.parametrize(("d_k", "d_v", "tokens"), [(4, 4, 30), (8, 8, 3), (2, 8, 5), (8, 2, 20)])
def test_attention_product_in_either_order(d_k, d_v, tokens):
    generator = torch.Generator().manual_seed(3)
    q, k = (torch.rand(2, d_k, tokens, generator=generator).round() for _ in range(2))
    v = torch.rand(2, d_v, tokens, generator=generator).round()
    scores = torch.einsum("bdl,bdm->blm", q.double(), k.double())
    expected = torch.einsum("blm,bcm->bcl", scores, v.double())
    torch.testing.assert_close(parts.attend(q, k, v).double(), expected, rtol=0, atol=0)


def spikes_of(lif: nn.Module, x_seq: torch.Tensor) -> torch.Tensor:
    """LIF with tau 2 and hard reset, written out."""
    v, spikes = torch.zeros_like(x_seq[0]), []
    for x in x_seq:
        h = v + (x - v) / 2.0
        fired = (h >= lif.v_threshold).to(h)
        v = h * (1.0 - fired)
        spikes.append(fired)
    return torch.stack(spikes)


def normed(conv_bn: nn.Sequential, x_seq: torch.Tensor) -> torch.Tensor:
    conv, norm = conv_bn
    y = torch.einsum("oc,tncl->tnol", conv.weight[..., 0], x_seq)
    if conv.bias is not None:
        y = y + conv.bias[:, None]
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return (y - norm.running_mean[:, None]) * scale[:, None] + norm.bias[:, None]


@pytest.mark.parametrize("membrane", [False, True])
def test_self_attention_is_its_formula(membrane):
    torch.manual_seed(4)
    kind = parts.MembraneSelfAttention if membrane else parts.SpikingSelfAttention
    layer = kind(8, 2, parts.Neurons("test", None, {})).double()
    functional.set_step_mode(layer, "m")
    lively(layer)
    x_seq = 4 * torch.rand(5, 2, 8, 3, 2, dtype=torch.float64)
    tokens = x_seq.flatten(3)
    if membrane:
        tokens = spikes_of(layer.input_lif, tokens)
    into, out = (layer.qkv, layer.proj) if membrane else (layer.qkv_conv_bn, layer.proj_conv_bn)
    q, k, v = spikes_of(layer.qkv_lif, normed(into, tokens)).view(5, 2, 3, 2, 4, 6).unbind(2)
    scores = torch.einsum("tnhdl,tnhdm->tnhlm", q, k)
    mixed = 0.125 * torch.einsum("tnhlm,tnhdm->tnhdl", scores, v)
    y = normed(out, spikes_of(layer.attn_lif, mixed).flatten(2, 3))
    if not membrane:
        y = spikes_of(layer.proj_lif, y)
    assert y.abs().mean() > 0
    torch.testing.assert_close(layer(x_seq), y.view(x_seq.shape))


def test_builders_show_the_arguments_of_their_class():
    signature = inspect.signature(spikformer_ti)
    assert signature.parameters["embed_dims"].default == 256
    assert list(signature.parameters) == list(inspect.signature(Spikformer).parameters)
    assert spikformer_ti(2, 1, embed_dims=8, num_heads=1, depths=1).time_axis.T == 2
    assert "Spikformer" in (spikformer_ti.__doc__ or "")


def test_time_axis_prints_what_it_makes():
    assert repr(parts.TimeAxis(4, 3)) == "TimeAxis(T=4, in_channels=3)"


def test_a_model_without_features_says_so():
    with pytest.raises(NotImplementedError, match="SpikingTransformer defines no features"):
        parts.SpikingTransformer(1, 1, "steps").features(torch.rand(1))
