"""Spiking ResNets: structure on the meta device, one small network for real."""

import copy
import pickle

import pytest
import torch

import sj_layers
from sj_models import spiking_resnet, weights
from sj_neurons import functional, neuron, surrogate

# parameters, state_dict keys and neurons of each variant
SIZES = {
    "spiking_resnet18": (11_689_512, 122, 17),
    "spiking_resnet34": (21_797_672, 218, 33),
    "spiking_resnet50": (25_557_032, 320, 49),
    "spiking_resnet101": (44_549_160, 626, 100),
    "spiking_resnet152": (60_192_808, 932, 151),
    "spiking_resnext50_32x4d": (25_028_904, 320, 49),
    "spiking_resnext101_32x8d": (88_791_336, 626, 100),
    "spiking_wide_resnet50_2": (68_883_240, 320, 49),
    "spiking_wide_resnet101_2": (126_886_696, 626, 100),
}
IF = {"spiking_neuron": neuron.IFNode, "surrogate_function": surrogate.ATan()}


def small_net(**kwargs) -> spiking_resnet.SpikingResNet:
    torch.manual_seed(0)
    shape = {"block": spiking_resnet.BasicBlock, "layers": [1, 1, 1, 1], "num_classes": 5}
    return spiking_resnet.SpikingResNet(**{**shape, **IF, **kwargs})


def test_every_variant_is_tested():
    assert set(spiking_resnet.__all__) - {"SpikingResNet"} == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_sizes_of_the_variants(name):
    with torch.device("meta"):
        net = getattr(spiking_resnet, name)(**IF)
    neurons = [m for m in net.modules() if isinstance(m, neuron.BaseNode)]
    sizes = (sum(p.numel() for p in net.parameters()), len(net.state_dict()), len(neurons))
    assert sizes == SIZES[name]
    assert len({id(m.surrogate_function) for m in neurons}) == len(neurons)


def test_keys_of_the_ann_in_its_order():
    with torch.device("meta"):
        keys = list(spiking_resnet.spiking_resnet18(**IF).state_dict())
    block = [
        f"{layer}.{part}"
        for layer in ("conv1", "bn1", "conv2", "bn2")
        for part in (
            ("weight",)
            if layer.startswith("conv")
            else ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        )
    ]
    assert keys[:6] == ["conv1.weight", *(k for k in block[1:6])]
    assert keys[6:18] == [f"layer1.0.{key}" for key in block]
    assert [k for k in keys if "downsample" in k][:2] == [
        "layer2.0.downsample.0.weight",
        "layer2.0.downsample.1.weight",
    ]
    assert keys[-2:] == ["fc.weight", "fc.bias"]


def test_multi_step_equals_repeated_single_steps_and_learns():
    net = small_net().eval()
    x_seq = torch.rand(3, 2, 3, 32, 32)
    single = torch.stack([net(x) for x in x_seq])
    functional.reset_net(net)
    functional.set_step_mode(net, "m")
    y = net(x_seq)
    torch.testing.assert_close(y, single)
    assert y.shape == (3, 2, 5)
    y.sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize(("output", "expected"), [("mean", (2, 5)), ("last", (2, 5))])
def test_outputs_over_time(output, expected):
    net = small_net(output=output)
    with pytest.raises(ValueError, match=r"set_step_mode\(net, 'm'\)"):
        net(torch.rand(2, 3, 32, 32))
    functional.reset_net(net)
    functional.set_step_mode(net, "m")
    assert net(torch.rand(3, 2, 3, 32, 32)).shape == expected


def test_copies_and_pickles():
    net = small_net().eval()
    x = torch.rand(1, 3, 32, 32)
    twins = (copy.deepcopy(net), pickle.loads(pickle.dumps(net)))
    y = net(x)
    for twin in twins:
        assert torch.equal(twin(x), y)


def test_zero_init_makes_each_block_pass_its_shortcut_on():
    net = small_net(zero_init_residual=True)
    assert all((m.bn2.weight == 0).all() for m in net.modules() if hasattr(m, "bn2"))


def test_sizes_of_numpy_are_taken():
    np = pytest.importorskip("numpy")
    assert small_net(num_classes=np.int64(3)).fc.out_features == 3


def test_dilation_replaces_stride():
    with torch.device("meta"):
        net = spiking_resnet.spiking_resnet50(
            replace_stride_with_dilation=(False, True, True), **IF
        )
    assert net.layer4[1].conv2.dilation == (4, 4)
    assert net.layer4[0].conv2.stride == (1, 1)


def test_stem_for_small_images_of_two_polarities():
    net = small_net(small_images=True, in_channels=2)
    assert (net.conv1.in_channels, net.conv1.kernel_size, net.conv1.stride) == (2, (3, 3), (1, 1))
    assert isinstance(net.maxpool, torch.nn.Identity)
    assert net(torch.rand(1, 2, 16, 16)).shape == (1, 5)
    assert list(net.state_dict()) == list(small_net().state_dict())


def test_initial_values():
    net = small_net()
    conv = net.layer4[0].conv2.weight  # fan out: 512 channels of 3x3
    assert conv.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.02)
    assert (net.bn1.weight == 1).all()
    bound = 512**-0.5
    assert bound > net.fc.weight.abs().max() > 0.9 * bound  # the linear layer is torch's


def test_fused_copies_give_the_same():
    net = small_net().eval()
    functional.set_step_mode(net, "m")
    x = torch.rand(3, 1, 3, 32, 32)
    with torch.no_grad():
        fused = sj_layers.fuse(net)
        torch.testing.assert_close(fused(x), net(x))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"spiking_neuron": None}, TypeError, "spiking_neuron must be a neuron class"),
        ({"tau": 2.0}, TypeError, "SpikingResNet: .*tau"),
        ({"num_clases": 3}, TypeError, "no argument 'num_clases'; did you mean 'num_classes'"),
        ({"norm_layer": "BN"}, TypeError, "norm_layer must make a norm"),
        ({"block": "BasicBlock"}, TypeError, "block must be BasicBlock or Bottleneck"),
        ({"output": "max"}, ValueError, "output must be one of"),
        ({"in_channels": 0}, ValueError, "in_channels must be a whole number"),
        ({"groups": 2}, ValueError, "use a bottleneck model"),
        ({"replace_stride_with_dilation": (True,)}, ValueError, "needs 3 values"),
        ({"replace_stride_with_dilation": True}, ValueError, "needs 3 values"),
        ({"layers": [1, 1, 1]}, ValueError, "layers must be 4 whole numbers"),
        ({"layers": [1, 1, 1, 0]}, ValueError, "layers must be 4 whole numbers"),
        ({"width_per_group": 0}, ValueError, "width_per_group must be a whole number"),
    ],
)
def test_wrong_arguments_fail_at_construction(arguments, error, message):
    with pytest.raises(error, match=message):
        small_net(**arguments)


@pytest.fixture
def published(monkeypatch):
    """Serve weights from memory instead of the internet."""

    def serve(state):
        monkeypatch.setattr(weights, "load_state_dict_from_url", lambda url, **kwargs: state)

    return serve


def test_ann_weights_load_into_parametric_neurons_too(published):
    torch.manual_seed(1)
    ann = spiking_resnet.spiking_resnet18(**IF).state_dict()
    published(ann)
    net = spiking_resnet.spiking_resnet18(
        pretrained=True, spiking_neuron=neuron.ParametricLIFNode, init_tau=3.0
    )
    state = net.state_dict()
    assert all(torch.equal(state[key], value) for key, value in ann.items())
    assert net.sn1.tau == pytest.approx(3.0)


def test_weights_that_do_not_fit_are_named(published):
    ann = spiking_resnet.spiking_resnet18(num_classes=10, **IF).state_dict()
    published(ann)
    with pytest.raises(ValueError, match=r"resnet18-f37072fd.pth does not fit.*fc.weight \(10, 5"):
        spiking_resnet.spiking_resnet18(pretrained=True, **IF)
    published({k: v for k, v in ann.items() if k != "conv1.weight"})
    with pytest.raises(ValueError, match=r"conv1.weight \(not in the file\)"):
        spiking_resnet.spiking_resnet18(pretrained=True, num_classes=10, **IF)
