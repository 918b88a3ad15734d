"""What holds for every layer that is not torch's own; a layer without an example fails."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import sj_layers as layer
from sj_layers import torch_layers
from sj_neurons import functional, neuron

T, N, C = 4, 2, 4
IMAGE, ROWS, TOKENS = (T, N, C, 6, 6), (T, N, C), (T, N, C, 5)

Build = Callable[[], nn.Module]
EXAMPLES: dict[str, tuple[Build, tuple[int, ...]]] = {
    "BatchNormThroughTime1d": (lambda: layer.BatchNormThroughTime1d(T, C), TOKENS),
    "BatchNormThroughTime2d": (lambda: layer.BatchNormThroughTime2d(T, C), IMAGE),
    "BatchNormThroughTime3d": (lambda: layer.BatchNormThroughTime3d(T, C), (*TOKENS, 2, 2)),
    "ChannelQKAttention": (lambda: layer.ChannelQKAttention(C, 2), TOKENS),
    "Delay": (lambda: layer.Delay(2), ROWS),
    "DropConnectLinear": (lambda: layer.DropConnectLinear(C, 3, invariant=True), ROWS),
    "Dropout": (lambda: layer.Dropout(0.3), ROWS),
    "Dropout2d": (lambda: layer.Dropout2d(0.3), IMAGE),
    "ElementWiseRecurrentContainer": (
        lambda: layer.ElementWiseRecurrentContainer(neuron.IFNode(), torch.add), ROWS,
    ),
    "Linear": (lambda: layer.Linear(C, 3), ROWS),
    "LinearRecurrentContainer": (
        lambda: layer.LinearRecurrentContainer(neuron.IFNode(), C, C), ROWS,
    ),
    "MultiDimensionalAttention": (
        lambda: layer.MultiDimensionalAttention(T, C, 2, 2), IMAGE,
    ),
    "MultiStepContainer": (lambda: layer.MultiStepContainer(nn.Linear(C, 3)), ROWS),
    "NeuNorm": (lambda: layer.NeuNorm(C, 6, 6), IMAGE),
    "PrintShapeModule": (lambda: layer.PrintShapeModule("here"), ROWS),
    "QKAttention": (lambda: layer.QKAttention(C, 2), TOKENS),
    "SeqToANNContainer": (lambda: layer.SeqToANNContainer(nn.Linear(C, 3)), ROWS),
    "SpikeCountToBinary": (lambda: layer.SpikeCountToBinary(3, True), ROWS),
    "SpikeLinear": (lambda: layer.SpikeLinear(C, 3, max_density=1.0), ROWS),
    "SpikingSelfAttention": (lambda: layer.SpikingSelfAttention(C, 2), TOKENS),
    "StepModeContainer": (lambda: layer.StepModeContainer(False, "s", nn.Linear(C, 3)), ROWS),
    "SynapseFilter": (lambda: layer.SynapseFilter(3.0, learnable=True), ROWS),
    "TLastMultiStepContainer": (lambda: layer.TLastMultiStepContainer(nn.Linear(N, 3)), ROWS),
    "TLastSeqToANNContainer": (lambda: layer.TLastSeqToANNContainer(nn.Linear(N, 3)), ROWS),
    "TemporalBinSum": (lambda: layer.TemporalBinSum(2, True), ROWS),
    "TemporalEffectiveBatchNorm1d": (lambda: layer.TemporalEffectiveBatchNorm1d(T, C), TOKENS),
    "TemporalEffectiveBatchNorm2d": (lambda: layer.TemporalEffectiveBatchNorm2d(T, C), IMAGE),
    "TemporalEffectiveBatchNorm3d": (
        lambda: layer.TemporalEffectiveBatchNorm3d(T, C), (*TOKENS, 2, 2),
    ),
    "TemporalWiseAttention": (lambda: layer.TemporalWiseAttention(T, 2), IMAGE),
    "ThresholdDependentBatchNorm1d": (
        lambda: layer.ThresholdDependentBatchNorm1d(1.0, 1.0, C), TOKENS,
    ),
    "ThresholdDependentBatchNorm2d": (
        lambda: layer.ThresholdDependentBatchNorm2d(1.0, 1.0, C), IMAGE,
    ),
    "ThresholdDependentBatchNorm3d": (
        lambda: layer.ThresholdDependentBatchNorm3d(1.0, 1.0, C), (*TOKENS, 2, 2),
    ),
    "TokenQKAttention": (lambda: layer.TokenQKAttention(C, 2), TOKENS),
    "VotingLayer": (lambda: layer.VotingLayer(2), ROWS),
    "WSConv2d": (lambda: layer.WSConv2d(C, 3, 3), IMAGE),
    "WSLinear": (lambda: layer.WSLinear(C, 3), ROWS),
}  # fmt: skip
EVERY_LAYER = pytest.mark.parametrize("name", EXAMPLES)
TAKES_LISTS = {"GradwithTrace", "OTTTSequential", "SpikeTraceOp"}  # of spikes and trace


def build(name: str, mode: str) -> nn.Module:
    torch.manual_seed(0)
    made = EXAMPLES[name][0]()
    if getattr(made, "step_mode", mode) != mode:
        if mode not in made.supported_step_mode():
            pytest.skip(f"{name} has no step mode {mode!r}")
        if not made.owns_children_step_mode:
            made.step_mode = mode
        else:
            functional.set_step_mode(made, mode)
    return made


def sequence(name: str) -> Tensor:
    shape = EXAMPLES[name][1]
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def test_every_layer_has_an_example():
    exported = {
        name
        for name in layer.__all__
        if inspect.isclass(getattr(layer, name)) and issubclass(getattr(layer, name), nn.Module)
    }
    assert exported == {*EXAMPLES, *torch_layers.__all__, *TAKES_LISTS}


@EVERY_LAYER
def test_many_steps_equal_repeated_single_steps(name):
    single, multi = build(name, "s"), build(name, "m")
    x_seq = sequence(name)
    if "BatchNorm" in name and not name.startswith("BatchNormThroughTime"):
        single.eval(), multi.eval()  # in training statistics mix the steps
    torch.manual_seed(2)
    expected = torch.stack([single(x) for x in x_seq])
    torch.manual_seed(2)
    torch.testing.assert_close(multi(x_seq), expected)


@EVERY_LAYER
def test_gradients_reach_the_input_and_every_parameter(name):
    made = build(name, "m")
    x_seq = (2 * sequence(name)).requires_grad_(True)
    y = made(x_seq)
    (y * torch.rand_like(y)).sum().backward()
    assert x_seq.grad is not None and x_seq.grad.isfinite().all()
    for key, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key


@EVERY_LAYER
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_dtype_follows_the_input(name, dtype):
    made = build(name, "m").to(dtype)
    y = made(sequence(name).to(dtype))
    assert y.dtype == dtype and y.isfinite().all()


@EVERY_LAYER
def test_copies_are_layers_of_their_own(name):
    made = build(name, "m").eval()
    x_seq = sequence(name)
    twin = copy.deepcopy(made)
    twin.load_state_dict(made.state_dict())
    torch.manual_seed(3)
    y = made(x_seq)
    torch.manual_seed(3)
    assert torch.equal(twin(x_seq), y)


@EVERY_LAYER
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_as_one_graph(name):
    made = build(name, "m")
    x_seq = sequence(name)
    torch.compiler.reset()
    torch.manual_seed(4)
    reference = made(x_seq)
    functional.reset_net(made)
    torch.manual_seed(4)
    compiled = torch.compile(made, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x_seq), reference)


@pytest.mark.parametrize("name", [n for n, (_, shape) in EXAMPLES.items() if shape == IMAGE])
def test_channels_last_is_kept(name):
    made = build(name, "m")
    x_seq = sequence(name)
    last = x_seq.flatten(0, 1).to(memory_format=torch.channels_last).unflatten(0, (T, N))
    torch.manual_seed(5)
    y = made(last)
    assert y.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    functional.reset_net(made)
    torch.manual_seed(5)
    torch.testing.assert_close(y, made(x_seq))
