from __future__ import annotations

import pytest
import torch
from torch import nn

from sj_train import ModelEma


def net(weight: float) -> nn.Module:
    layer = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.constant_(layer[0].weight, weight)
    return layer


def test_average_follows_the_recurrence():
    ema = ModelEma(net(0.0), decay=0.75)
    ema.update(net(1.0))  # the first update copies
    ema.update(net(3.0))
    torch.testing.assert_close(ema.module[0].weight, torch.tensor([[0.75 * 1 + 0.25 * 3]]))


def test_counters_are_copied_and_buffers_averaged():
    ema, model = ModelEma(net(0.0), decay=0.5), net(0.0)
    model(torch.randn(4, 1))
    ema.update(model)
    model[1].running_mean.fill_(2.0)
    model[1].num_batches_tracked.fill_(9)
    before = ema.module[1].running_mean.clone()
    ema.update(model)
    assert int(ema.module[1].num_batches_tracked) == 9
    torch.testing.assert_close(ema.module[1].running_mean, (before + 2) / 2)


def test_updates_come_every_n_steps_and_copy_while_warming_up():
    ema = ModelEma(net(0.0), decay=0.5, every=2, warmup_epochs=1)
    ema.after_step(net(1.0), step=1, epoch=0)
    assert float(ema.module[0].weight) == 0.0
    ema.after_step(net(2.0), step=2, epoch=0)
    ema.after_step(net(4.0), step=0, epoch=1)  # still a copy: the counter was set back
    assert float(ema.module[0].weight) == 4.0
    ema.after_step(net(0.0), step=2, epoch=1)
    assert float(ema.module[0].weight) == 2.0


def test_state_dict_names():
    assert {"n_averaged", "module.0.weight"} <= set(ModelEma(net(0.0), decay=0.9).state_dict())


@pytest.mark.parametrize("options", [{"decay": 1.5}, {"decay": 0.5, "every": 0}])
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match="must be"):
        ModelEma(net(0.0), **options)
