from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sj_train.errors import ClassCountError, NonFiniteLossError
from sj_train.forward import ForwardPass, identity

X, Y = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([0, 1])


def forward(model: nn.Module, **more) -> ForwardPass:
    loss = nn.CrossEntropyLoss()
    settings = {
        "preprocess": lambda x: x.expand(3, *x.shape), "process_output": lambda y: y.mean(0),
        "transfer": identity, **more,
    }  # fmt: skip
    return ForwardPass(model, loss, torch.device("cpu"), **settings)


def test_the_criterion_sees_the_output_without_time():
    loss, output, target = forward(nn.Identity())(X, Y)
    assert torch.equal(output, X) and target is Y
    torch.testing.assert_close(loss, nn.functional.cross_entropy(X, Y))


def test_a_criterion_of_every_step_sees_the_time_axis():
    seen = []
    step = forward(nn.Identity(), step_criterion=lambda y, t: seen.append(y.shape) or y.sum())
    loss, output, _ = step(X, Y)
    assert seen == [(3, 2, 2)] and output.shape == (2, 2)
    assert loss == 3 * X.sum()


def test_mixed_precision_covers_the_model():
    _, output, _ = forward(nn.Linear(2, 2), amp_dtype=torch.bfloat16)(X, Y)
    assert output.dtype == torch.bfloat16


def test_a_label_without_an_output():
    with pytest.raises(ClassCountError, match="class 5"):
        forward(nn.Identity())(X, torch.tensor([0, 5]))


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_broken_loss_ends_with_its_place(loss):
    step = forward(nn.Sequential(nn.Linear(2, 2)))
    step.check_loss(1.0, X, "epoch 0, batch 0")
    with pytest.raises(NonFiniteLossError, match=f"the loss is {loss} at epoch 3, batch 7: "):
        step.check_loss(loss, X, "epoch 3, batch 7")


def test_the_place_is_looked_for_in_mixed_precision():
    class Halves(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / 0 if x.dtype == torch.bfloat16 else x

    step = forward(nn.Sequential(nn.Linear(2, 2), Halves()), amp_dtype=torch.bfloat16)
    with pytest.raises(NonFiniteLossError, match=r"it began in 1 \(Halves\)"):
        step.check_loss(math.inf, X, "epoch 0, batch 0")
