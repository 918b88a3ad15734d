"""Without gradients spikes come by a shorter way, and nothing else changes."""

from __future__ import annotations

import inspect

import pytest
import torch

from sj_neurons import surrogate

CLASSES = [
    cls
    for cls in (getattr(surrogate, name) for name in surrogate.__all__)
    if inspect.isclass(cls)
    and issubclass(cls, surrogate.SurrogateFunction)
    and cls is not surrogate.SurrogateFunction
]
ARGUMENTS = {surrogate.MultiLevelSpikeCount: (4,)}
EVERY = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


@EVERY
def test_spikes_are_those_with_gradients(cls):
    module = cls(*ARGUMENTS.get(cls, ()))
    x = torch.tensor([-1.5, -0.2, -0.0, 0.0, 0.3, 1.7, torch.nan, torch.inf])
    if cls is surrogate.PoissonPass:
        x = x.nan_to_num().clamp(0, 1)
    torch.manual_seed(0)
    expected = module(x)
    with torch.no_grad():
        torch.manual_seed(0)
        torch.testing.assert_close(module(x), expected, rtol=0, atol=0, equal_nan=True)


@EVERY
def test_transforms_take_gradients_nonetheless(cls):
    x = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    module = cls(*ARGUMENTS.get(cls, ()))
    with torch.no_grad():
        per_row = torch.func.vmap(
            torch.func.grad(lambda row: module(row).sum()), randomness="different"
        )(x)
        torch.testing.assert_close(per_row, cls.derivative(x, *module.parameter_values))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad])
def test_derivatives_in_forward_mode_are_refused(mode):
    x = torch.rand(3)
    with mode(), pytest.raises(NotImplementedError, match="jvp"):
        torch.func.jvp(surrogate.Sigmoid(), (x,), (torch.ones(3),))
