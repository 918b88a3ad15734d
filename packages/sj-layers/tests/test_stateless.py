"""Laws of the stateless layers: 's' is torch, 'm' is torch on each step."""

import copy
import inspect

import pytest
import torch
from torch import Tensor, nn

import sj_layers as layer

T, N, C, H, W = 4, 2, 3, 8, 6

LAYERS = {
    "Conv2d": (layer.Conv2d, nn.Conv2d, (C, 5, 3), {"padding": 1, "bias": False}),
    "BatchNorm2d": (layer.BatchNorm2d, nn.BatchNorm2d, (C,), {}),
    "MaxPool2d": (layer.MaxPool2d, nn.MaxPool2d, (2,), {}),
    "AvgPool2d": (layer.AvgPool2d, nn.AvgPool2d, (2,), {}),
    "AdaptiveAvgPool2d": (layer.AdaptiveAvgPool2d, nn.AdaptiveAvgPool2d, ((1, 1),), {}),
    "Linear": (layer.Linear, nn.Linear, (W, 7), {}),
    "Flatten": (layer.Flatten, nn.Flatten, (), {}),
}
EVERY_LAYER = pytest.mark.parametrize("name", LAYERS)
IMAGE_LAYERS = pytest.mark.parametrize("name", [n for n in LAYERS if n.endswith("2d")])


def build(name: str, step_mode: str = "s") -> tuple[nn.Module, nn.Module]:
    """Our layer and the torch layer with the same parameters."""
    ours, theirs, args, kwargs = LAYERS[name]
    torch.manual_seed(0)
    twin = theirs(*args, **kwargs)
    made = ours(*args, **kwargs, step_mode=step_mode)
    made.load_state_dict(twin.state_dict())
    return made, twin


@pytest.fixture
def x_seq() -> Tensor:
    return torch.rand(T, N, C, H, W, generator=torch.Generator().manual_seed(1))


def test_every_stateless_layer_is_tested():
    stateless = {n for n in layer.__all__ if not issubclass(getattr(layer, n), _stateful())}
    assert stateless == set(LAYERS)


def _stateful() -> tuple[type, ...]:
    return (layer.Dropout, layer.SeqToANNContainer)


@EVERY_LAYER
def test_single_step_is_torch(name, x_seq):
    ours, twin = build(name)
    assert torch.equal(ours(x_seq[0]), twin(x_seq[0]))


@EVERY_LAYER
def test_a_sequence_is_every_step_on_its_own(name, x_seq):
    ours, twin = build(name, "m")
    x = x_seq.clone().requires_grad_(True)
    if name == "BatchNorm2d":  # in training its statistics mix the steps
        ours.eval(), twin.eval()
    y = ours(x)
    expected = torch.stack([twin(step) for step in x_seq])
    torch.testing.assert_close(y, expected)
    y.square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_batch_norm_takes_statistics_over_time_and_batch(x_seq):
    ours, twin = build("BatchNorm2d", "m")
    torch.testing.assert_close(ours(x_seq), twin(x_seq.flatten(0, 1)).unflatten(0, (T, N)))
    assert ours.num_batches_tracked == 1
    torch.testing.assert_close(ours.running_var, twin.running_var)


@EVERY_LAYER
def test_an_image_repeated_by_expand_gives_the_same_values(name, x_seq):
    ours, _ = build(name, "m")
    image = x_seq[0].clone().requires_grad_(True)
    other = copy.deepcopy(ours)
    weight = torch.rand(T, generator=torch.Generator().manual_seed(2))
    grads, outputs = [], []
    for module, x in (
        (ours, image.unsqueeze(0).expand(T, -1, -1, -1, -1)),
        (other, image.unsqueeze(0).repeat(T, 1, 1, 1, 1)),
    ):
        y = module(x)
        outputs.append(y)
        loss = (y.flatten(1).sum(1) * weight).sum() + y.square().sum()
        grads.append(torch.autograd.grad(loss, image)[0])
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*grads)
    for key, value in ours.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[key])


def test_equal_steps_are_computed_once(x_seq):
    ours, _ = build("Conv2d", "m")
    assert ours(x_seq[:1].expand(T, -1, -1, -1, -1)).stride(0) == 0


@IMAGE_LAYERS
def test_wrong_rank_names_the_expected_axes(name, x_seq):
    ours, _ = build(name, "m")
    with pytest.raises(ValueError, match=r"shape \[T, N, C, H, W\], but got .*\[2, 3, 8\]"):
        ours(x_seq[0, :, :, :, 0])


@pytest.mark.parametrize("name", ["Conv2d", "BatchNorm2d", "MaxPool2d", "AvgPool2d"])
def test_channels_last_is_kept(name, x_seq):
    ours, _ = build(name, "m")
    x = x_seq.flatten(0, 1).to(memory_format=torch.channels_last).unflatten(0, (T, N))
    y = ours(x)
    assert y.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, build(name, "m")[0](x_seq))


@EVERY_LAYER
def test_compiles_as_one_graph(name, x_seq):
    ours, _ = build(name, "m")
    ours.eval()
    compiled = torch.compile(ours, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x_seq), ours(x_seq))


@EVERY_LAYER
def test_misspelt_arguments_are_refused(name):
    ours, _, args, _ = LAYERS[name]
    with pytest.raises(TypeError, match="step_mod"):
        ours(*args, step_mod="m")
    with pytest.raises(ValueError, match="step_mode can only be"):
        ours(*args, step_mode="x")


def test_signature_shows_the_arguments_of_torch():
    assert list(inspect.signature(layer.MaxPool2d).parameters) == [
        *inspect.signature(nn.MaxPool2d).parameters,
        "step_mode",
    ]


def test_several_outputs_are_unfolded_each(x_seq):
    pool = layer.MaxPool2d(2, return_indices=True, step_mode="m")
    for x in (x_seq, x_seq[:1].expand(T, -1, -1, -1, -1)):
        y, indices = pool(x)
        assert y.shape == indices.shape == (T, N, C, H // 2, W // 2)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (
            layer.Conv2d(3, 4, 3, bias=False),
            "Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), bias=False, step_mode=s)",
        ),
        (
            layer.BatchNorm2d(4),
            "BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, "
            "track_running_stats=True, step_mode=s)",
        ),
        (layer.AvgPool2d(2), "AvgPool2d(kernel_size=2, stride=2, padding=0, step_mode=s)"),
        (layer.Flatten(step_mode="m"), "Flatten(start_dim=1, end_dim=-1, step_mode=m)"),
        (layer.Linear(2, 3), "Linear(in_features=2, out_features=3, bias=True)"),
        (layer.Dropout(0.2), "Dropout(p=0.2)"),
    ],
)
def test_repr_is_the_documented_one(module, text):
    assert repr(module) == text
