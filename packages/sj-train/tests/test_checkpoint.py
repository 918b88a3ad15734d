from __future__ import annotations

import argparse
import os

import pytest
import torch
from torch import nn

from sj_train import CheckpointError, TrainingState, load_checkpoint, save_checkpoint
from sj_train.checkpoint import BEST, LATEST
from sj_train.errors import OutputError
from sj_train.optim import build_scheduler
from sj_train.resume import find_checkpoint, load_model_weights, resume


def state_of(net: nn.Module, **options) -> TrainingState:
    optimizer = torch.optim.Adam(net.parameters())
    return TrainingState(net, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 2), **options)


def finish(state: TrainingState, folder, epoch: int, acc1: float) -> None:
    best = state.record(epoch, {"test_acc1": acc1})
    save_checkpoint(state, folder, best=best)


def test_documented_files_and_keys(make_net, tmp_path):
    state = state_of(make_net(), args={"lr": 0.1, "path": tmp_path, "sizes": (1, 2)})
    finish(state, tmp_path, 0, 50.0)
    finish(state, tmp_path, 1, 40.0)
    assert sorted(os.listdir(tmp_path)) == ["checkpoint_1.pth", LATEST, BEST]
    content = torch.load(tmp_path / LATEST, weights_only=True)
    assert {"model", "optimizer", "lr_scheduler", "epoch", "args", "max_test_acc1"} <= set(content)
    assert content["args"] == {"lr": 0.1, "path": str(tmp_path), "sizes": [1, 2]}
    assert (content["epoch"], content["max_test_acc1"]) == (1, 50.0)
    assert torch.load(tmp_path / BEST, weights_only=True)["epoch"] == 0


def test_resume_keeps_the_best_accuracy(make_net, tmp_path):
    finish(state_of(make_net()), tmp_path, 0, 99.0)
    state = state_of(make_net())
    resume(state, tmp_path / LATEST)
    assert state.max_test_acc1 == 99.0
    finish(state, tmp_path, 1, 16.7)
    assert load_checkpoint(tmp_path / BEST)["epoch"] == 0


def test_resume_from_a_folder_without_its_earlier_epoch(make_net, tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir(), here.mkdir()
    finish(state_of(make_net()), there, 4, 10.0)
    state = state_of(make_net())
    resume(state, there / LATEST)
    finish(state, here, 5, 20.0)
    assert "checkpoint_5.pth" in os.listdir(here)
    assert "checkpoint_4.pth" in os.listdir(there)


def test_a_failed_write_leaves_the_old_file(make_net, tmp_path, monkeypatch):
    state = state_of(make_net())
    finish(state, tmp_path, 0, 50.0)
    before = (tmp_path / LATEST).read_bytes()

    def full_disk(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OutputError, match=r"checkpoint_1.pth: No space left"):
        finish(state, tmp_path, 1, 60.0)
    assert (tmp_path / LATEST).read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["checkpoint_0.pth", LATEST, BEST]


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ({"hidden": 9}, r"shape of 0.weight \(8, 6\) instead of \(9, 6\), 0.bias"),
        ({"classes": 5}, r"shape of 3.weight \(3, 8\) instead of \(5, 8\)"),
    ],
)
def test_checkpoint_of_other_sizes_is_refused(make_net, tmp_path, sizes, text):
    finish(state_of(make_net()), tmp_path, 0, 50.0)
    other = state_of(make_net(**sizes))
    before = {name: value.clone() for name, value in other.model.state_dict().items()}
    with pytest.raises(CheckpointError, match=text):
        resume(other, tmp_path / LATEST)
    assert all(torch.equal(value, before[name]) for name, value in other.model.state_dict().items())
    assert other.epoch == -1


def test_checkpoint_of_another_architecture_is_refused(make_net, tmp_path):
    finish(state_of(make_net()), tmp_path, 0, 50.0)
    with pytest.raises(CheckpointError, match=r"missing weight, bias; unexpected 0.weight, 0.bias"):
        load_model_weights(tmp_path / LATEST, nn.Linear(6, 3))


def test_checkpoint_of_another_optimizer_is_refused(make_net, tmp_path):
    finish(state_of(make_net()), tmp_path, 0, 50.0)
    net = make_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    with pytest.raises(CheckpointError, match="with optimizer Adam, this run uses SGD"):
        resume(TrainingState(net, optimizer, scheduler), tmp_path / LATEST)


def test_checkpoint_of_the_reference_trainer(make_net, tmp_path):
    """It stores an argparse Namespace, and neither random states nor a history."""
    state = state_of(make_net(seed=3))
    content = {
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "lr_scheduler": state.scheduler.state_dict(),
        "epoch": 7,
        "args": argparse.Namespace(lr=0.1),
        "max_test_acc1": 70.0,
    }
    torch.save(content, tmp_path / "foreign.pth")
    resumed = state_of(make_net(seed=4))
    resume(resumed, tmp_path / "foreign.pth")
    assert (resumed.epoch, resumed.max_test_acc1) == (7, 70.0)
    torch.testing.assert_close(resumed.model.state_dict(), state.model.state_dict())
    assert load_checkpoint(tmp_path / "foreign.pth")["args"] == {"lr": 0.1}


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_bytes(b"no torch file"), "damaged"),
        (lambda path: torch.save({"net": {}}, path), "no state dict 'model'"),
        (lambda path: torch.save({"model": {}, "x": os.system}, path), "not loaded for safety"),
    ],
)
def test_unusable_files_are_named(tmp_path, write, text):
    path = tmp_path / "some.pth"
    write(path)
    with pytest.raises(CheckpointError, match=rf"some\.pth.*{text}"):
        load_checkpoint(path)


def test_truncated_file_is_named(make_net, tmp_path):
    finish(state_of(make_net()), tmp_path, 0, 50.0)
    data = (tmp_path / LATEST).read_bytes()
    (tmp_path / "cut.pth").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match=r"cut\.pth is damaged"):
        load_checkpoint(tmp_path / "cut.pth")


def test_objects_are_refused_when_saving(make_net, tmp_path):
    net = make_net()
    net.register_module("odd", Odd())
    with pytest.raises(CheckpointError, match=r"model\.odd\._extra_state holds a set_of_things"):
        finish(state_of(net), tmp_path, 0, 1.0)
    assert os.listdir(tmp_path) == []


class set_of_things:
    pass


class Odd(nn.Module):
    def get_extra_state(self) -> object:
        return set_of_things()


def test_latest_is_looked_up_in_the_folder(tmp_path):
    assert find_checkpoint("latest", tmp_path) is None
    (tmp_path / LATEST).touch()
    assert find_checkpoint("latest", tmp_path) == tmp_path / LATEST
    with pytest.raises(CheckpointError, match="needs a checkpoint folder"):
        find_checkpoint("latest", None)


def scheduled(net: nn.Module, epochs: int, warmup_epochs: int = 2) -> TrainingState:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scheduler = build_scheduler(
        optimizer, "cosa", epochs=epochs, step_size=1, gamma=0.5,
        warmup_epochs=warmup_epochs, warmup_method="linear", warmup_decay=0.01,
    )  # fmt: skip
    return TrainingState(net, optimizer, scheduler, args={"epochs": epochs, "lr": 0.1})


def rates(state: TrainingState, epochs: int) -> list[float]:
    """Learning rates of the coming epochs."""
    found = []
    for _ in range(epochs):
        found.append(state.optimizer.param_groups[0]["lr"])
        state.optimizer.step()
        state.scheduler.step()
    return found


def test_more_epochs_follow_the_longer_schedule(make_net, tmp_path, caplog):
    short, whole, resumed = (scheduled(make_net(), epochs) for epochs in (4, 12, 12))
    rates(short, 4)
    finish(short, tmp_path, 3, 50.0)
    resume(resumed, tmp_path / LATEST)
    assert "4 epochs, this run has 12" in caplog.text
    assert rates(resumed, 8) == rates(whole, 12)[4:]


def test_a_learning_rate_that_stays_is_told(make_net, tmp_path, caplog):
    finish(scheduled(make_net(), 4), tmp_path, 0, 50.0)
    state = scheduled(make_net(), 4)
    state.args["lr"] = 0.5
    resume(state, tmp_path / LATEST)
    assert "--lr stays 0.1 as in the checkpoint" in caplog.text


def test_a_foreign_checkpoint_of_another_schedule_is_refused(make_net, tmp_path):
    content = scheduled(make_net(), 4, warmup_epochs=0).to_dict()
    del content["classes"]
    torch.save(content, tmp_path / "foreign.pth")
    with pytest.raises(CheckpointError, match=r"another schedule than this run's SequentialLR"):
        resume(scheduled(make_net(), 4), tmp_path / "foreign.pth")
