"""Every model of the zoo: sizes on the meta device, the smallest of each family for real."""

import copy
import inspect
import re

import pytest
import torch
from torch import nn

import sj_layers
from sj_models import create_model
from sj_models.build import build
from sj_models.neurons import is_neuron
from sj_models.zoo import ZOO
from sj_neurons import functional

# family: a small model, its arguments, the input [T, N, *] of it, its outputs
SMALL = {
    "spiking_resnet": ("spiking_resnet18", {"small_images": True}, (2, 1, 3, 8, 8)),
    "sew_resnet": ("sew_resnet18", {"small_images": True, "cnf": "IAND"}, (2, 1, 3, 8, 8)),
    "spiking_vgg": ("spiking_vgg11_bn", {"small_images": True}, (2, 1, 3, 32, 32)),
    "spiking_vggws_ottt": ("ottt_spiking_vggws", {"cfg": (4, "A", 8)}, (1, 3, 8, 8)),
    "parametric_lif_net": ("DVSGestureNet", {"channels": 4}, (2, 1, 2, 128, 128)),
    "ms_resnet": ("ms_resnet18", {"base_channels": 8, "small_images": True}, (2, 1, 3, 16, 16)),
    "masnn": (
        "masnn_dvs128_gesture",
        {"T": 5, "channels": (8, 8, 8), "input_size": (8, 8), "fc_hidden": 16},
        (5, 1, 2, 8, 8),
    ),
    "csnn": ("CSNN", {"T": 2, "channels": 4, "output": "steps"}, (1, 1, 28, 28)),
    "sequential_nets": ("FeedBackNet", {"output": "steps"}, (4, 1, 28)),
    "spikformer": (
        "spikformer_ti",
        {"embed_dims": 16, "num_heads": 2, "depths": 1},
        (2, 1, 3, 32, 32),
    ),
    "qkformer": (
        "qkformer_10_384",
        {"embed_dims": 32, "num_heads": (1, 2, 2), "depths": (1, 1, 1)},
        (2, 1, 3, 32, 32),
    ),
    "spike_driven_transformer": (
        "sdt_8_384",
        {"embed_dims": 16, "num_heads": 2, "depths": 1},
        (2, 1, 3, 32, 32),
    ),
    "spikingformer": (
        "spikingformer_8_384",
        {"embed_dims": 16, "num_heads": 2, "depths": 1},
        (2, 1, 3, 32, 32),
    ),
    "e_spikeformer": (
        "e_spikeformer_5m",
        {"embed_dims": (8, 16, 16, 16), "num_heads": 2, "depths": (1, 1)},
        (2, 1, 3, 32, 32),
    ),
    "maxformer": (
        "maxformer_10_384",
        {"embed_dims": 32, "depths": (1, 1, 1)},
        (2, 1, 3, 32, 32),
    ),
}
# what a family takes that another one does not
NEEDS_NEURON = {"spiking_resnet", "sew_resnet", "spiking_vgg", "parametric_lif_net"}

# CSNN repeats images itself, OTTT learns at every step
TAKES_NO_SEQUENCE = {"csnn", "spiking_vggws_ottt"}

RESNET_KEYS = {"18": 122, "34": 218, "50": 320, "101": 626, "152": 932}
VGG_KEYS = {"11": 22, "13": 26, "16": 32, "19": 38, "11_bn": 62, "13_bn": 76, "16_bn": 97,
            "19_bn": 118}  # fmt: skip
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def small_model(family: str, **arguments) -> nn.Module:
    name, small, _ = SMALL[family]
    given = {"neuron": "IF"} if family in NEEDS_NEURON else {}
    net = create_model(name, **{**given, **small, "num_classes": 3, **arguments})
    if family not in TAKES_NO_SEQUENCE:
        functional.set_step_mode(net, "m")
    return net


def small_input(family: str) -> torch.Tensor:
    shape = SMALL[family][2]
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    return x if family == "csnn" else 4 * x


def on_meta(name: str) -> nn.Module:
    family = ZOO[name].family
    with torch.device("meta"):
        return create_model(name, **({"neuron": "IF"} if family in NEEDS_NEURON else {}))


@pytest.mark.parametrize("name", ZOO)
def test_sizes_and_shapes(name):
    record = ZOO[name]
    net = on_meta(name).eval()
    neurons = sum(is_neuron(module) for module in net.modules())
    parameters = sum(parameter.numel() for parameter in net.parameters())
    assert (parameters, neurons) == (record.parameters, record.neurons)
    if record.family not in TAKES_NO_SEQUENCE:
        functional.set_step_mode(net, "m")
    steps = (1,) if record.family in TAKES_NO_SEQUENCE else (2, 1)
    steps = (60, 1) if record.family == "masnn" else steps
    with torch.no_grad(), torch.device("meta"):
        y = net(torch.empty(*steps, *record.input_shape))
    classes = inspect.signature(record.builder()).parameters["num_classes"].default
    assert y.shape[-1] == (classes or record.builder().default_classes)
    assert y.shape[:-1] in (steps, (1,), (2, 1))


def resnet_keys(stages: tuple[int, ...], bottleneck: bool) -> list[str]:
    """Keys of an ANN's ResNet, in its order."""

    def normed(conv: str, norm: str) -> list[str]:
        return [f"{conv}.weight", *(f"{norm}.{part}" for part in NORM)]

    keys = normed("conv1", "bn1")
    for stage, blocks in enumerate(stages, 1):
        for block in range(blocks):
            prefix = f"layer{stage}.{block}"
            for conv in range(1, 4 if bottleneck else 3):
                keys += normed(f"{prefix}.conv{conv}", f"{prefix}.bn{conv}")
            if block == 0 and (stage > 1 or bottleneck):
                keys += normed(f"{prefix}.downsample.0", f"{prefix}.downsample.1")
    return [*keys, "fc.weight", "fc.bias"]


RESNETS = [n for n, r in ZOO.items() if r.family in ("spiking_resnet", "sew_resnet")]


@pytest.mark.parametrize("name", RESNETS)
def test_keys_of_resnets_are_those_of_the_ann(name):
    stages = {"18": (2, 2, 2, 2), "34": (3, 4, 6, 3), "50": (3, 4, 6, 3), "101": (3, 4, 23, 3),
              "152": (3, 8, 36, 3)}  # fmt: skip
    depth = re.search(r"res(?:net|next)(\d+)", name)[1]
    keys = list(on_meta(name).state_dict())
    assert keys == resnet_keys(stages[depth], bottleneck=depth not in ("18", "34"))
    assert len(keys) == RESNET_KEYS[depth]


@pytest.mark.parametrize("depth", VGG_KEYS)
def test_keys_of_vggs_are_those_of_the_ann(depth):
    convolutions = {"11": (1, 1, 2, 2, 2), "13": (2, 2, 2, 2, 2), "16": (2, 2, 3, 3, 3),
                    "19": (2, 2, 4, 4, 4)}[depth.removesuffix("_bn")]  # fmt: skip
    expected, index = [], 0
    for count in convolutions:
        for _ in range(count):
            expected += [f"features.{index}.weight", f"features.{index}.bias"]
            if depth.endswith("_bn"):
                index += 1
                expected += [f"features.{index}.{part}" for part in NORM]
            index += 2  # the neuron takes the place of the ReLU
        index += 1
    expected += [f"classifier.{i}.{part}" for i in (0, 3, 6) for part in ("weight", "bias")]
    keys = list(on_meta(f"spiking_vgg{depth}").state_dict())
    assert keys == expected
    assert len(keys) == VGG_KEYS[depth]


def test_every_family_has_a_small_model():
    assert {record.family for record in ZOO.values()} <= set(SMALL)


FAMILIES = sorted({record.family for record in ZOO.values()})


@pytest.mark.parametrize("family", FAMILIES)
def test_learns_and_is_copied_and_built_again(family):
    net, x = small_model(family), small_input(family)
    twin = copy.deepcopy(net)
    y = net(x)
    assert y.shape[-1] == 3
    (y * torch.arange(1.0, 4.0)).sum().backward()
    grads = {key: parameter.grad for key, parameter in net.named_parameters()}
    assert not [key for key, grad in grads.items() if grad is None]
    assert all(grad.isfinite().all() for grad in grads.values())
    again = build(net.config)
    if family not in TAKES_NO_SEQUENCE:
        functional.set_step_mode(again, "m")
    assert repr(again) == repr(net)
    again.load_state_dict(twin.state_dict())
    outputs = []
    for model in (twin, again):
        torch.manual_seed(7)  # for dropout
        outputs.append(model(x))
    torch.testing.assert_close(*outputs, rtol=0, atol=0)


HAVE_IMAGES = sorted(set(FAMILIES) - {"sequential_nets"})


@pytest.mark.parametrize("family", HAVE_IMAGES)
def test_weights_fit_other_classes_and_channels(family):
    given = small_model(family).state_dict()
    net = small_model(family, weights=given, num_classes=5, in_channels=7)
    report = net.weights_report
    (first,) = report.adapted
    assert net.state_dict()[first].shape[1] == 7
    assert {given[key].shape[0] for key in report.replaced} <= {3, 30}  # 30 vote for 3
    kept = set(given) - {first, *report.replaced}
    assert all(torch.equal(net.state_dict()[key], given[key]) for key in kept)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_that_lack_keys_are_taken_if_not_strict(family):
    key, value = next(iter(small_model(family).state_dict().items()))
    with pytest.raises(ValueError, match="does not fit the model"):
        small_model(family, weights={key: value})
    net = small_model(family, weights={key: value}, strict=False)
    assert net.weights_report.loaded == (key,)
    assert "strict" not in net.config


@pytest.mark.parametrize("family", sorted({*FAMILIES} - {"spiking_vggws_ottt"}))
def test_outputs_over_time(family):
    results = {}
    for output in ("steps", "mean", "last"):
        torch.manual_seed(0)
        net = small_model(family, output=output).eval()
        with torch.no_grad():
            results[output] = net(small_input(family))
    torch.testing.assert_close(results["mean"], results["steps"].mean(0))
    torch.testing.assert_close(results["last"], results["steps"][-1])


@pytest.mark.parametrize("family", FAMILIES)
def test_backends_agree(family):
    torch.manual_seed(0)
    net = small_model(family).eval()
    twin = copy.deepcopy(net)
    for model, backend in ((net, "torch"), (twin, "auto")):
        functional.set_backend(model, backend)
    x = small_input(family)
    with torch.no_grad():
        torch.testing.assert_close(twin(x), net(x))


@pytest.mark.parametrize("family", FAMILIES)
def test_fused_models_agree(family):
    net, x = small_model(family).eval(), small_input(family)
    with torch.no_grad():
        torch.testing.assert_close(sj_layers.fuse(net)(x), net(x))


@pytest.mark.parametrize("family", sorted(NEEDS_NEURON))
def test_single_steps_equal_a_sequence(family):
    net, x = small_model(family).eval(), small_input(family)
    with torch.no_grad():
        y = net(x)
        functional.reset_net(net)
        functional.set_step_mode(net, "s")
        torch.testing.assert_close(torch.stack([net(step) for step in x]), y)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles():
    torch.manual_seed(0)
    net = small_model("sew_resnet").eval()
    x = small_input("sew_resnet")
    with torch.no_grad():
        y = net(x)
        functional.reset_net(net)
        compiled = torch.compile(net, backend="aot_eager")
        torch.testing.assert_close(compiled(x), y)
