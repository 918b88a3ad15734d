from __future__ import annotations

import pickle
import random
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, RandomSampler, SequentialSampler, TensorDataset

from sj_train import CheckpointError, TrainingState, load_checkpoint
from sj_train.batch_seeds import SeededBatches
from sj_train.checkpoint import Position
from sj_train.position import ResumableLoader
from sj_train.seeding import numpy_random
from sj_train.train_classify import Trainer

COUNT, BATCH = 12, 2


class Noisy(Dataset):
    """Draws from all generators for each sample and notes in a file what was asked for."""

    classes = ("a", "b")

    def __init__(self, notes: Path) -> None:
        self.notes = notes

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with self.notes.open("a") as file:
            file.write(f"{index}\n")
        noise = [random.random(), float(torch.rand(()))]
        if (numpy := numpy_random()) is not None:
            noise.append(numpy.rand())
        return torch.tensor(noise, dtype=torch.float64) + index, index


def loader_of(data: Dataset, workers: int) -> DataLoader:
    order = RandomSampler(data, generator=torch.Generator().manual_seed(3))
    return DataLoader(data, BATCH, sampler=order, num_workers=workers)


def resumable(loader: DataLoader, position: Position | None = None) -> ResumableLoader:
    net = nn.Linear(1, 1)
    state = TrainingState(net, torch.optim.SGD(net.parameters(), lr=0.1), position=position)
    state.generators = {"sampler": loader.sampler.generator}
    return ResumableLoader(loader, state, folder=None, every=0)


def test_a_batch_does_not_depend_on_the_workers(tmp_path):
    passes = []
    for workers in (1, 2):
        torch.manual_seed(0)
        passes.append(list(loader_of(SeededBatches(Noisy(tmp_path / "notes")), workers)))
    for one, two in zip(*passes, strict=True):
        assert torch.equal(one[0], two[0])
    noise = torch.cat([x for x, _ in passes[0]]).frac()
    assert noise.unique().numel() == noise.numel()


def test_epochs_differ(tmp_path):
    data = SeededBatches(Noisy(tmp_path / "notes"))
    loader = DataLoader(data, BATCH, num_workers=1)
    first, second = (torch.cat([x for x, _ in loader]) for _ in range(2))
    assert not (first == second).any()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("done", [1, 4])
def test_a_pass_starts_in_the_middle_without_loading_what_comes_before(tmp_path, workers, done):
    notes = tmp_path / "notes"
    torch.manual_seed(0)
    whole = resumable(loader_of(SeededBatches(Noisy(notes)), 1))
    start = whole.state.randomness()
    expected = list(whole)[done:]
    notes.unlink()
    torch.manual_seed(1)
    loader = loader_of(SeededBatches(Noisy(notes)), workers)
    rest = resumable(loader, Position(done, done * BATCH, [], start))
    found = list(rest)
    for one, two in zip(found, expected, strict=True):
        assert torch.equal(one[0], two[0])
    read = sorted(int(line) for line in notes.read_text().split())
    assert read == sorted(int(label) for _, labels in expected for label in labels)
    assert len(list(rest)) == COUNT // BATCH  # the next pass is whole


def test_a_position_behind_the_end_is_an_error(tmp_path):
    data = SeededBatches(Noisy(tmp_path / "notes"))
    rest = resumable(loader_of(data, 1), Position(7, 14, [], None))
    with pytest.raises(CheckpointError, match=r"after batch 7 of an epoch.*has fewer"):
        list(rest)


def test_it_stands_for_the_data_set(tmp_path):
    data = SeededBatches(Noisy(tmp_path / "notes"))
    assert data.classes == ("a", "b")
    assert len(pickle.loads(pickle.dumps(data))) == len(data) == COUNT
    with pytest.raises(AttributeError, match="colours"):
        _ = data.colours


def test_a_data_set_that_gives_whole_batches_still_does():
    asked = []

    class Batches(TensorDataset):
        def __getitems__(self, indices):
            asked.append(indices)
            return [self[index] for index in indices]

    loader = DataLoader(SeededBatches(Batches(torch.arange(4))), 2)
    assert [x.tolist() for (x,) in loader] == [[0, 1], [2, 3]]
    assert asked == [[0, 1], [2, 3]]


class NoisyTrainer(Trainer):
    stop_at = 0

    def load_data(self, args):
        data = Noisy(args.notes)
        order = torch.Generator().manual_seed(args.seed)
        return data, data, RandomSampler(data, generator=order), SequentialSampler(data)

    def load_model(self, args, num_classes):
        return nn.Linear(2, num_classes, dtype=torch.float64)

    def preprocess_train_sample(self, args, x):
        self.stop_at -= 1
        if self.stop_at == 0:
            raise KeyboardInterrupt
        return x[:, :2]

    def preprocess_test_sample(self, args, x):
        return x[:, :2]


def train(folder: Path, *words: str, stop_at: int = 0) -> dict:
    trainer = NoisyTrainer()
    trainer.stop_at = stop_at
    options = f"--device cpu -b {BATCH} -j 1 --epochs 2 --mixup-alpha 0 --cutmix-alpha 0 --lr 0.01"
    words = (*options.split(), "--checkpoint-every-steps", "1", "--output-dir", str(folder), *words)
    args = trainer.get_args_parser().parse_args(words)
    args.notes = folder.parent / "notes"
    trainer.run(args)
    (latest,) = folder.glob("pt/*/checkpoint_latest.pth")
    return load_checkpoint(latest)


def test_a_stopped_trainer_with_workers_goes_on_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(Noisy, "classes", tuple(range(COUNT)))
    whole = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", stop_at=COUNT // BATCH + 4)
    resumed = train(tmp_path / "stopped", "--resume", "latest")
    assert resumed["history"] == whole["history"]
    for name, weights in whole["model"].items():
        assert torch.equal(resumed["model"][name], weights)
