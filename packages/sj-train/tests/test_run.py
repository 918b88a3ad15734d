"""Runs of trainers whose hooks, data and names are less tame than the recipes'."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset, IterableDataset

from sj_neurons import functional
from sj_train import History, loaders
from sj_train.errors import DataError, HookMissingError, OptionError, RunExistsError
from sj_train.launch import claim_folders
from sj_train.train_classify import Trainer


class Numbers(Dataset):
    classes = ("a", "b", "c")

    def __init__(self, count: int, kind: torch.dtype = torch.int64) -> None:
        self.x = torch.rand(count, 1, 2, 2, generator=torch.Generator().manual_seed(0))
        self.labels = (torch.arange(count) % 3).to(kind)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int):
        return self.x[index], self.labels[index]


class Small(Trainer):
    sizes = (10, 5)
    kind = torch.int64

    def load_data(self, args):
        train, test = (Numbers(size, self.kind) for size in self.sizes)
        return train, test, *loaders.build_samplers(args, train, test)

    def load_model(self, args, num_classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(4, num_classes))

    def get_tb_logdir_name(self, args):
        return "run"


def run(trainer: Trainer, folder: Path, *more: str) -> History:
    words = ["--device", "cpu", "-b", "4", "-j", "0", "--epochs", "2", "--lr-warmup-epochs", "1"]
    parser = trainer.get_args_parser()
    history = trainer.run(parser.parse_args([*words, "--output-dir", str(folder), *more]))
    assert history is not None
    return history


class OwnLoop(Small):
    """A training pass as users of the reference write it."""

    def train_one_epoch(
        self, model, criterion, optimizer, data_loader, device, epoch, args,
        model_ema=None, scaler=None,
    ):  # fmt: skip
        model.train()
        for step, (x, target) in enumerate(data_loader):
            loss = criterion(model(x.to(device)), target.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            functional.reset_net(model)
            if model_ema and step % args.model_ema_steps == 0:
                model_ema.update_parameters(model)
                if epoch < args.lr_warmup_epochs:
                    model_ema.n_averaged.fill_(0)
        return loss.detach(), torch.tensor(1.0), 2


class Told(torch.utils.data.SequentialSampler):
    epochs: tuple[int, ...] = ()

    def set_epoch(self, epoch: int) -> None:
        self.epochs += (epoch,)


def test_a_training_pass_of_its_own(tmp_path):
    class Counted(OwnLoop):
        def load_data(self, args):
            train, test, _, sampler = super().load_data(args)
            self.told = Told(train)
            return train, test, self.told, sampler

    trainer = Counted()
    history = run(trainer, tmp_path, "--model-ema", "--model-ema-steps", "1")
    assert history["train_acc5"] == [2.0, 2.0]
    assert trainer.told.epochs == (0, 1)


def test_scores_of_another_number_are_refused(tmp_path):
    class Two(Small):
        def evaluate(self, *args, **options):
            return super().evaluate(*args, **options)[:2]

    with pytest.raises(HookMissingError, match=r"evaluate must return \(loss, acc1, acc5\)"):
        run(Two(), tmp_path)


@pytest.mark.parametrize("mixed", [(), ("--mixup-alpha", "0", "--cutmix-alpha", "0")])
@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32])
def test_labels_of_any_integer_type(tmp_path, kind, mixed):
    trainer = Small()
    trainer.kind = kind
    alike = run(Small(), tmp_path / "long", *mixed)
    assert run(trainer, tmp_path / "other", *mixed) == alike


def test_an_average_may_come_and_go_on_resume(tmp_path):
    run(Small(), tmp_path)
    with_average = run(Small(), tmp_path, "--resume", "latest", "--epochs", "3", "--model-ema")
    assert len(with_average["ema_test_acc1"]) == 3
    assert len(run(Small(), tmp_path, "--resume", "latest", "--epochs", "4")) == 4


def test_an_empty_test_set_is_told_before_training(tmp_path):
    trainer = Small()
    trainer.sizes = (10, 0)
    with pytest.raises(DataError, match="the test set has no samples"):
        run(trainer, tmp_path)
    assert not list(tmp_path.iterdir())


def test_testing_needs_no_batch_of_training_samples(tmp_path):
    trainer = Small()
    trainer.sizes = (1, 5)
    assert len(run(trainer, tmp_path, "--test-only")) == 1


class Stream(IterableDataset):
    classes = Numbers.classes

    def __iter__(self):
        numbers = Numbers(10)
        return (numbers[index] for index in range(10))


@pytest.mark.parametrize("workers", ["0", "1"])
def test_iterable_data(tmp_path, workers):
    class Streams(Small):
        def load_data(self, args):
            return Stream(), Stream(), None, None

    more = ("--checkpoint-every-steps", "1", "-j", workers)
    assert len(run(Streams(), tmp_path, *more)) == 2


def test_samplers_that_do_not_fit(tmp_path):
    class Ordered(Small):
        def load_data(self, args):
            return Stream(), Stream(), range(10), None

    class Without(Small):
        def load_data(self, args):
            return Numbers(10), Numbers(5), None, None

    with pytest.raises(DataError, match="Stream gives its samples in its own order"):
        run(Ordered(), tmp_path)
    with pytest.raises(DataError, match="no sampler for Numbers"):
        run(Without(), tmp_path)


@pytest.mark.parametrize("name", ["", ".", "pt", "pt/a", "../a", "/a"])
def test_names_that_are_no_folder_of_their_own(tmp_path, name):
    class Named(Small):
        def get_tb_logdir_name(self, args):
            return name

    (tmp_path / "mine").touch()
    with pytest.raises(OptionError, match="a folder of its own"):
        run(Named(), tmp_path, "--clean")
    assert (tmp_path / "mine").exists()


def test_names_that_are_no_text(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", "\udcff"])
    run(Small(), tmp_path)
    assert "\\udcff" in (tmp_path / "run" / "args.txt").read_text()


def test_two_starts_at_the_same_time(tmp_path):
    args = Small().get_args_parser().parse_args([])
    folders = tmp_path / "run", tmp_path / "pt" / "run"
    claim_folders(args, *folders)
    with pytest.raises(RunExistsError, match=r"--resume latest.*--clean"):
        claim_folders(args, *folders)
