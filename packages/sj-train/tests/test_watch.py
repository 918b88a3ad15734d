from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from sj_train import extras
from sj_train.errors import MissingExtraError
from sj_train.watch import Watch, count_samples

DATA = TensorDataset(torch.zeros(10, 1))


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(5))


@pytest.mark.parametrize(
    ("loader", "count"),
    [
        (DataLoader(DATA, 4), 10),
        (DataLoader(DATA, 4, drop_last=True), 8),
        (DataLoader(DATA, batch_size=None), 10),
        (DataLoader(Stream(), 2), 0),
    ],
)
def test_samples_of_a_pass(loader, count):
    assert count_samples(loader) == count


def test_only_known_passes_get_a_speed():
    watch = Watch(samples={"train": 8})
    watch.begin(0, torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5))
    assert watch.measure("train", lambda: 3) == 3
    watch.measure("test", lambda: None)
    row = watch.row()
    assert row["lr"] == 0.5 and row["train_samples_per_s"] > 0 and row["memory_mib"] > 0
    assert "test_samples_per_s" not in row
    assert watch.figure(0) is None


def test_a_failed_pass_leaves_no_hook():
    net = nn.Sequential(nn.Identity())
    watch = Watch(net)

    def fail():
        raise KeyError

    with pytest.raises(KeyError):
        watch.measure("test", fail)
    assert not net._forward_hooks


def test_figures_need_matplotlib(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(extras.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"sj-train\[plot\]"):
        Watch(figures_every=1)
