from __future__ import annotations

import pytest
import torch
from torch import nn

from sj_train.errors import OptionError
from sj_train.optim import build_optimizer, build_scheduler, parameter_groups


def rates(name: str, **options) -> list[float]:
    """Learning rate of six epochs."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    defaults = {
        "epochs": 6,
        "step_size": 2,
        "gamma": 0.1,
        "warmup_epochs": 0,
        "warmup_method": "linear",
        "warmup_decay": 0.1,
    }
    scheduler = build_scheduler(optimizer, name, **{**defaults, **options})
    values = []
    for _ in range(6):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


def test_step_schedule():
    assert rates("step") == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_exponential_schedule():
    assert rates("EXP", gamma=0.5) == pytest.approx([0.5**i for i in range(6)])


def test_cosine_after_linear_warm_up():
    expected = [0.1, 0.55, 1.0, 0.8535534, 0.5, 0.1464466]  # (1 + cos(pi t / 4)) / 2
    assert rates("cosa", warmup_epochs=2) == pytest.approx(expected)


def test_constant_warm_up():
    values = rates("step", warmup_epochs=2, warmup_method="constant")
    assert values == pytest.approx([0.1, 0.1, 1, 1, 0.1, 0.1])


def test_a_run_shorter_than_its_warm_up():
    assert rates("cosa", epochs=3, warmup_epochs=10)[:2] == pytest.approx([0.1, 0.19])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "cosine"}, "--lr-scheduler: unknown schedule 'cosine'; known are step, cosa"),
        ({"name": "cosa", "warmup_method": "quick"}, "--lr-warmup-method: .*'quick'"),
    ],
)
def test_unknown_names_are_option_errors(options, text):
    with pytest.raises(OptionError, match=text):
        rates(**options)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("SGD", "SGD"), ("sgd_nesterov", "SGD"), ("rmsprop", "RMSprop"), ("AdamW", "AdamW")],
)
def test_optimizers_by_name(name, kind):
    parameters = [nn.Parameter(torch.zeros(1))]
    optimizer = build_optimizer(name, parameters, lr=0.1, momentum=0.9, weight_decay=0.01)
    assert type(optimizer).__name__ == kind
    assert optimizer.defaults.get("nesterov", False) == ("nesterov" in name)
    assert optimizer.defaults["weight_decay"] == 0.01


def test_unknown_optimizer_names_the_known_ones():
    with pytest.raises(RuntimeError, match=r"'lion'.*sgd.*rmsprop.*adamw"):
        build_optimizer("lion", [], lr=0.1, momentum=0.9, weight_decay=0.0)


def test_norm_parameters_get_their_own_decay():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2), nn.LayerNorm(2))
    net[2].bias.requires_grad_(False)
    norms, others = parameter_groups(net, weight_decay=0.1, norm_weight_decay=0.0)
    assert [p.shape for p in norms["params"]] == [(2,), (2,), (2,), (2,)]
    assert len(others["params"]) == 3
    assert (norms["weight_decay"], others["weight_decay"]) == (0.0, 0.1)
