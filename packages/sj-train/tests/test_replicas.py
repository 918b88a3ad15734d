from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch import nn

from sj_train.replicas import replicated, share_buffers


class Counting(nn.Linear):
    """A layer with a buffer that is no running statistic."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.register_buffer("seen", torch.zeros(()))


@pytest.fixture(scope="module", autouse=True)
def group_of_one() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize(
    ("net", "shared"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), False),
        (nn.Sequential(Counting(), nn.BatchNorm1d(2)), True),
        (nn.Linear(2, 2), False),
    ],
)
def test_buffers_are_shared_in_every_pass_only_where_layers_may_read_them(net, shared):
    made = replicated(net, torch.device("cpu"))
    assert made.module is net
    assert made.broadcast_buffers == shared
    made(torch.ones(3, 2)).sum().backward()


def test_sharing_buffers_leaves_those_of_process_0():
    net = nn.BatchNorm2d(2)
    net.register_buffer("picture", torch.rand(1, 3, 2, 2).to(memory_format=torch.channels_last))
    before = {name: value.clone() for name, value in net.named_buffers()}
    share_buffers(net)
    torch.testing.assert_close(dict(net.named_buffers()), before)


@pytest.mark.parametrize(("local", "many"), [("1", False), ("2", True)])
def test_one_machine_without_gpus_averages_all_gradients_at_once(monkeypatch, local, many):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", local)
    made = replicated(nn.Linear(2, 2), torch.device("cpu"))
    assert (made.bucket_bytes_cap < 1 << 40) == many
    made(torch.ones(3, 2)).sum().backward()
    assert made.module.weight.grad is not None
