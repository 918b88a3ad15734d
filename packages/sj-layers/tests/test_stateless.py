"""Laws of the stateless layers: 's' is torch, 'm' is torch on each step."""

import copy
import inspect
import pickle
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import sj_layers as layer
from sj_layers import torch_layers
from sj_neurons.base import StepModule

T, N, C = 4, 2, 4
SPACE = {"1d": (8,), "2d": (8, 6), "3d": (4, 4, 4)}
H, W = SPACE["2d"]

# what the layers of a family are made with; one that is missing here fails a test
ARGUMENTS = {
    "Conv": ((C, 5, 3), {"padding": 1, "bias": False}),
    "ConvTranspose": ((C, 3, 2), {"stride": 2}),
    "BatchNorm": ((C,), {}),
    "MaxPool": ((2,), {}),
    "AvgPool": ((2,), {}),
    "AdaptiveAvgPool": ((1,), {}),
    "GroupNorm": ((2, C), {}),
    "Upsample": ((), {"scale_factor": 2}),
    "Linear": ((W, 7), {}),
    "Flatten": ((), {}),
}
UNPOOLING = {"MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"}  # two inputs: tested by themselves
LAYERS = [
    name
    for name in layer.__all__
    if inspect.isclass(getattr(nn, name, None))
    and name not in UNPOOLING
    and name not in ("Dropout", "Dropout2d")
]
EVERY_LAYER = pytest.mark.parametrize("name", LAYERS)
WITH_AXES = pytest.mark.parametrize("name", [n for n in LAYERS if n[-2:] in SPACE])
KEEPS_CHANNELS_LAST = pytest.mark.parametrize(
    "name", ["Conv2d", "ConvTranspose2d", "BatchNorm2d", "MaxPool2d", "AvgPool2d", "Upsample"]
)


def build(name: str, step_mode: str = "s") -> tuple[nn.Module, nn.Module]:
    """Our layer and the torch layer with the same parameters."""
    args, kwargs = ARGUMENTS[name[:-2] if name[-2:] in SPACE else name]
    torch.manual_seed(0)
    twin = getattr(nn, name)(*args, **kwargs)
    made = getattr(layer, name)(*args, **kwargs, step_mode=step_mode)
    made.load_state_dict(twin.state_dict())
    return made, twin


def sequence(name: str = "2d") -> Tensor:
    space = SPACE.get(name[-2:], SPACE["2d"])
    return torch.rand(T, N, C, *space, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def x_seq() -> Tensor:
    return sequence()


def test_every_layer_of_the_table_is_a_layer_of_torch():
    for name in (*LAYERS, *UNPOOLING):
        assert issubclass(getattr(layer, name), (getattr(nn, name), StepModule)), name
    assert len(LAYERS) == 22


def test_the_stub_names_the_same_layers():
    path = Path(torch_layers.__file__).with_suffix(".pyi")
    shown = re.findall(r"class (\w+)\(TimeFolded, nn\.(\w+)\)", path.read_text())
    assert [ours for ours, _ in shown] == sorted(torch_layers.__all__)
    assert all(ours == theirs for ours, theirs in shown)


@EVERY_LAYER
def test_single_step_is_torch(name):
    ours, twin = build(name)
    x_seq = sequence(name)
    assert torch.equal(ours(x_seq[0]), twin(x_seq[0]))


@EVERY_LAYER
def test_a_sequence_is_every_step_on_its_own(name):
    ours, twin = build(name, "m")
    x_seq = sequence(name)
    x = x_seq.clone().requires_grad_(True)
    if name.startswith("BatchNorm"):  # in training its statistics mix the steps
        ours.eval(), twin.eval()
    y = ours(x)
    expected = torch.stack([twin(step) for step in x_seq])
    torch.testing.assert_close(y, expected)
    y.square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


@pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d"])
def test_batch_norm_takes_statistics_over_time_and_batch(name):
    ours, twin = build(name, "m")
    x_seq = sequence(name)
    torch.testing.assert_close(ours(x_seq), twin(x_seq.flatten(0, 1)).unflatten(0, (T, N)))
    assert ours.num_batches_tracked == 1
    torch.testing.assert_close(ours.running_var, twin.running_var)


@EVERY_LAYER
@pytest.mark.parametrize("momentum", [0.1, None])
def test_an_image_repeated_by_expand_gives_the_same_values(name, momentum):
    ours, _ = build(name, "m")
    if hasattr(ours, "running_var"):
        ours.momentum = momentum
    elif momentum is None:
        return
    ours, x_seq = ours.double(), sequence(name).double()
    image = x_seq[0].clone().requires_grad_(True)
    other = copy.deepcopy(ours)
    weight = torch.rand(T, generator=torch.Generator().manual_seed(2))
    grads, outputs = [], []
    for module, x in (
        (ours, image.unsqueeze(0).expand(T, *image.shape)),
        (other, torch.stack([image] * T)),
    ):
        y = module(x)
        outputs.append(y)
        loss = (y.flatten(1).sum(1) * weight).sum() + y.square().sum()
        grads.append(torch.autograd.grad(loss, image)[0])
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*grads)
    for key, value in ours.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[key])


@pytest.mark.parametrize("name", ["Conv2d", "BatchNorm2d", "MaxPool2d", "Linear"])
def test_equal_steps_are_computed_once(name, x_seq):
    ours, _ = build(name, "m")
    assert ours(x_seq[:1].expand(T, -1, -1, -1, -1)).stride(0) == 0


@WITH_AXES
def test_wrong_rank_names_the_expected_axes(name):
    ours, _ = build(name, "m")
    axes = {"1d": "C, L", "2d": "C, H, W", "3d": "C, D, H, W"}[name[-2:]]
    with pytest.raises(ValueError, match=rf"shape .*\[T, N, {axes}\], but got x with shape .*\["):
        ours(sequence(name)[0, :, 0])


@KEEPS_CHANNELS_LAST
def test_channels_last_is_kept(name, x_seq):
    ours, _ = build(name, "m")
    x = x_seq.flatten(0, 1).to(memory_format=torch.channels_last).unflatten(0, (T, N))
    y = ours(x)
    assert y.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, build(name, "m")[0](x_seq))


@EVERY_LAYER
def test_compiles_as_one_graph(name):
    ours, _ = build(name, "m")
    x_seq = sequence(name)
    ours.eval()
    torch.compiler.reset()
    compiled = torch.compile(ours, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x_seq), ours(x_seq))


@EVERY_LAYER
def test_misspelt_arguments_are_refused(name):
    ours = getattr(layer, name)
    args, kwargs = ARGUMENTS[name[:-2] if name[-2:] in SPACE else name]
    with pytest.raises(TypeError, match="step_mod"):
        ours(*args, **kwargs, step_mod="m")
    with pytest.raises(ValueError, match="step_mode can only be"):
        ours(*args, **kwargs, step_mode="x")


@EVERY_LAYER
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_dtype_is_kept_and_copies_work(name, dtype):
    if name == "AvgPool3d" and dtype is torch.bfloat16:
        pytest.skip("torch has no bfloat16 AvgPool3d on the CPU")
    ours = build(name, "m")[0].to(dtype)
    x = sequence(name).to(dtype)
    y = ours.eval()(x)
    assert y.dtype == dtype
    assert torch.equal(pickle.loads(pickle.dumps(ours))(x), y)
    assert torch.equal(copy.deepcopy(ours)(x), y)


@pytest.mark.parametrize("axes", ["1d", "2d", "3d"])
def test_transposed_convolutions_take_the_size_of_the_output(axes):
    name = f"ConvTranspose{axes}"
    x = sequence(axes)
    twin = build(name)[1]
    size = [2 * n + 1 for n in x.shape[3:]]
    expected = torch.stack([twin(step, size) for step in x])
    ours = build(name, "m")[0]
    torch.testing.assert_close(ours(x, output_size=size), expected)
    torch.testing.assert_close(ours(x, output_size=expected.shape), expected)
    ours.step_mode = "s"
    torch.testing.assert_close(ours(x[0], output_size=size), expected[0])


@pytest.mark.parametrize("axes", ["1d", "2d", "3d"])
def test_unpooling_puts_values_back_where_pooling_found_them(axes):
    x = sequence(axes)
    pool = getattr(layer, f"MaxPool{axes}")(2, return_indices=True, step_mode="m")
    ours = getattr(layer, f"MaxUnpool{axes}")(2, step_mode="m")
    twin = getattr(nn, f"MaxUnpool{axes}")(2)
    y, indices = pool(x)
    expected = torch.stack([twin(*step) for step in zip(y, indices, strict=True)])
    assert torch.equal(ours(y, indices), expected)
    assert torch.equal(ours(y, indices, output_size=x.shape), expected)
    ours.step_mode = "s"
    assert torch.equal(ours(y[0], indices[0]), expected[0])
    ours.step_mode = "m"
    with pytest.raises(ValueError, match="expected x with shape"):
        ours(y[0], indices[0])


def test_signature_shows_the_arguments_of_torch():
    assert list(inspect.signature(layer.MaxPool2d).parameters) == [
        *inspect.signature(nn.MaxPool2d).parameters,
        "step_mode",
    ]


def test_signature_shows_the_arguments_of_a_constructor_of_our_own():
    found = inspect.signature(layer.ThresholdDependentBatchNorm2d).parameters
    assert list(found)[:3] == ["alpha", "v_th", "num_features"]


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
        (layer.Upsample(scale_factor=2), "Upsample(scale_factor=2.0, mode='nearest', step_mode=s)"),
        (layer.AvgPool2d(2), "AvgPool2d(kernel_size=2, stride=2, padding=0, step_mode=s)"),
        (layer.Flatten(step_mode="m"), "Flatten(start_dim=1, end_dim=-1, step_mode=m)"),
        (layer.Linear(2, 3), "Linear(in_features=2, out_features=3, bias=True)"),
        (layer.Dropout(0.2), "Dropout(p=0.2)"),
    ],
)
def test_repr_is_the_documented_one(module, text):
    assert repr(module) == text
