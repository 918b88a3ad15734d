from __future__ import annotations

import pytest
import torch

from sj_train.errors import DataError
from sj_train.recipes import classify
from sj_train.recipes.named_data import named_pair


class Pooled(torch.nn.Module):
    """Stands in for a network of the zoo: ``[T, N, C, H, W]`` to ``[T, N, K]``."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x.mean((-2, -1)))


class SmallTrainer(classify.ZooTrainer):
    def load_model(self, args, num_classes):
        channels = 3 if classify.is_image_set(args.dataset) else 2
        return Pooled(channels, num_classes)


def train(out, dataset: str, *more: str):
    trainer = SmallTrainer()
    argv = ["--fake-data", "--dataset", dataset, "--output-dir", str(out), *more]
    args = classify.parse_with_fake(trainer.get_args_parser(), argv, classify._FAKE_DEFAULTS)
    args.device = "cpu"
    return trainer.run(args)


@pytest.mark.parametrize("dataset", ["MNIST", "FashionMNIST", "CIFAR10", "NMNIST", "DVSLip"])
def test_data_sets_train(tmp_path, dataset):
    history = train(tmp_path, dataset)
    assert history.epochs == [0]
    assert list(tmp_path.glob(f"pt/{dataset}_*_T2_LIF/checkpoint_latest.pth"))


def test_eventmix_of_recordings(tmp_path):
    off = ["--mixup-alpha", "0", "--cutmix-alpha", "0"]
    assert train(tmp_path, "NMNIST", "--eventmix-alpha", "1", *off).epochs == [0]


def test_workers_draw_the_same_augmentation_again(tmp_path):
    argv = ("MNIST", "-j", "2", "--random-erase", "0.5")
    first, second = (train(tmp_path / run, *argv) for run in ("first", "second"))
    assert first.last["train_loss"] == second.last["train_loss"]
    assert first.last["test_loss"] == second.last["test_loss"]


def test_data_without_a_split_are_split_by_class(tmp_path):
    (tmp_path / "data").mkdir()
    arguments = {"root": tmp_path / "data", "fake": True, "data_type": "event"}
    train_set, test_set = named_pair("ASLDVS", arguments)
    assert len(test_set) and train_set.classes == test_set.classes
    assert not set(train_set.indices) & set(test_set.indices)


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("CIFAR11", {"root": "x"}, "did you mean CIFAR10"),
        ("CIFAR10", {"root": "nowhere"}, "nowhere"),
        ("NMNIST", {"root": "nowhere"}, "nowhere"),
        ("NMNIST", {"root": ".", "frame_number": 3}, "frame_number"),
    ],
)
def test_bad_data_sets(tmp_path, monkeypatch, name, arguments, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=told):
        named_pair(name, arguments)


def test_bad_input_is_one_line(tmp_path, capsys):
    argv = ["--device", "cpu", "--output-dir", str(tmp_path), "--data-path", str(tmp_path / "no")]
    with pytest.raises(SystemExit) as stop:
        classify.main(argv)
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count("\n") == 1 and "no" in said


def test_zoo_network(tmp_path):
    trainer = classify.ZooTrainer()
    args = trainer.get_args_parser().parse_args(["--dataset", "NMNIST", "--T", "2"])
    net = trainer.load_model(args, 10)
    assert net(torch.rand(2, 1, 2, 34, 34)).shape == (2, 1, 10)
