"""BatchNorm and neuron in one on a GPU, against the two in float64."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from sj_neurons import neuron, surrogate
from sj_neurons.functional import batch_norm_module_neuron
from sj_neurons.kernels import cuda

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def gpu() -> Iterator[None]:
    reason = cuda.why_unavailable()
    if reason is not None:
        pytest.skip(reason)
    torch.manual_seed(0)
    yield
    torch.cuda.synchronize()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_it_equals_batch_norm_and_neuron(
    training: bool, channels_last: bool, repeated: bool, dtype: torch.dtype
) -> None:
    T, shape = 4, (6, 16, 20, 20)
    x = torch.randn(1 if repeated else T, *shape) * 1.5 + 0.7
    if channels_last:
        flat = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        x = flat.unflatten(0, x.shape[:2])
    x = x.to("cuda", dtype)
    norm = nn.BatchNorm2d(16).cuda().train(training)
    norm = norm.double() if dtype == torch.float64 else norm
    surrogate_function = surrogate.ATan()
    node = neuron.ParametricLIFNode(surrogate_function=surrogate_function, step_mode="m").cuda()
    node = node.double() if dtype == torch.float64 else node
    weights = torch.rand(T, *shape, device="cuda")

    results = []
    for backend in ("torch", "cupy"):
        exact = backend == "torch"
        modules = copy.deepcopy(nn.ModuleList([norm, node]))
        modules = modules.double() if exact else modules
        own_norm, own_node = modules
        own_node.backend = backend
        leaf = (x.double() if exact else x).detach().clone().requires_grad_()
        x_seq = leaf.expand(T, -1, -1, -1, -1)
        spikes = batch_norm_module_neuron(x_seq, own_norm, own_node)
        (spikes * weights).sum().backward()
        gradients = [leaf.grad, *(p.grad for p in modules.parameters())]
        buffers = [own_norm.running_mean, own_norm.running_var]
        results.append([spikes.detach(), *gradients, *buffers])
    (spikes, *values), (ours, *of_ours) = results
    half = dtype in (torch.float16, torch.bfloat16)
    assert (ours.double() != spikes).sum() <= (2 if dtype != torch.float64 else 0)
    for mine, reference in zip(of_ours, values, strict=True):
        scale = reference.abs().max().item() + 1e-3
        tolerance = (3e-2 if half else 1e-4) * scale
        torch.testing.assert_close(mine.double(), reference, rtol=0.0, atol=tolerance)
