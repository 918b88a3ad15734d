from __future__ import annotations

import torch
from torch import nn

from sj_train import distributed
from sj_train.sync_norm import SynchronisedNorm


class StepNorm(nn.Module):
    """A layer that knows its own synchronised version, as step-mode layers do."""

    def to_sync_batchnorm(self) -> nn.Module:
        return nn.Identity()


def test_norm_layers_are_converted_wherever_they_are():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2), StepNorm()))
    converted = distributed.convert_sync_batchnorm(net)
    assert isinstance(converted[1][0], SynchronisedNorm)
    assert distributed.convert_sync_batchnorm(converted[1][0]) is converted[1][0]
    assert isinstance(converted[1][1], nn.Identity)
    assert converted.state_dict().keys() == net.state_dict().keys()


def test_a_single_process_reduces_to_itself():
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    assert distributed.sum_over_ranks([1.0, 2.0], torch.device("cpu")) == [1.0, 2.0]
    assert distributed.all_gather("x") == ["x"]


def test_compiled_models_are_unwrapped():
    net = nn.Linear(2, 2)
    assert distributed.unwrap(torch.compile(net, backend="eager")) is net
