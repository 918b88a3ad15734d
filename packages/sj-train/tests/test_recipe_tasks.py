from __future__ import annotations

import json
import warnings

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import sj_datasets
from sj_train.recipes import from_config, pretrain_mae
from sj_train.recipes.task_data import fake_samples, named_sets, pixels

CONFIG = {
    "input_shape": [1, 28, 28],
    "model": {
        "type": "ImageClassifier",
        "encoder": {"type": "Repeat", "T": 2},
        "backbone": {
            "type": "ResNet_CIFAR", "depth": 18, "stem_channels": 2, "base_channels": 2,
            "in_channels": 1, "neuron": "LIF",
        },
        "neck": {"type": "GlobalAveragePooling"},
        "head": {"type": "LinearClsHead", "num_classes": 10, "in_channels": 16},
    },
    "training": {"epochs": 1, "batch_size": 8, "optimizer": {"type": "SGD", "lr": 0.1}},
}  # fmt: skip


@pytest.fixture
def config(tmp_path):
    def write(**changes) -> str:
        path = tmp_path / "small.json"
        path.write_text(json.dumps({**CONFIG, **changes}))
        return str(path)

    return write


def train(out, *argv: str) -> None:
    from_config.main([*argv, "--device", "cpu", "-j", "0", "--output-dir", str(out)])


def test_config_on_fake_data(tmp_path, config):
    train(tmp_path, config(), "--fake-data", "--epochs", "1")
    folder = tmp_path / "small"
    stored = torch.load(folder / "checkpoint_max.pth", weights_only=True)
    assert {"net", "optimizer", "lr_scheduler", "epoch", "max_test_score"} <= stored.keys()
    tags = set(EventAccumulator(str(folder)).Reload().Tags()["scalars"])
    assert {"train_loss", "test_loss", "test_acc"} <= tags
    assert "ImageClassifier" in (folder / "config.yaml").read_text()


@pytest.mark.parametrize(("words", "epochs"), [([], 2), (["--set", "training.epochs=1"], 1)])
def test_fake_data_keep_what_set_says(tmp_path, config, words, epochs):
    train(tmp_path, config(training={"epochs": 50, "batch_size": 99}), "--fake-data", *words)
    stored = torch.load(tmp_path / "small" / "checkpoint_latest.pth", weights_only=True)
    assert stored["epoch"] == epochs - 1


@pytest.fixture
def fashion(tmp_path):
    """Folder of a synthetic Fashion-MNIST."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sj_datasets.FashionMNIST(tmp_path / "data", fake=True)
    return tmp_path / "data"


def test_named_data_set(fashion):
    train_set, test_set = named_sets({"type": "FashionMNIST", "root": "elsewhere"}, fashion)
    assert (len(train_set), len(test_set), len(train_set.classes)) == (2000, 500, 10)
    x, _ = train_set[0]
    assert x.shape == (1, 28, 28) and x.max() > 100


def test_config_on_a_named_data_set(tmp_path, config, fashion, monkeypatch):
    def few(*wanted):
        sets = named_sets(*wanted)
        for part in sets:
            part.images, part.targets = part.images[:16], part.targets[:16]
        return sets

    monkeypatch.setattr(from_config, "named_sets", few)
    path = config(data={"type": "FashionMNIST", "root": str(fashion)})
    train(tmp_path, path)
    assert (tmp_path / "small" / "checkpoint_latest.pth").is_file()
    train(tmp_path, path, "--clean", "--set", "training.optimizer.lr=0.01")
    assert "lr: 0.01" in (tmp_path / "small" / "config.yaml").read_text()


def test_class_count_mismatch(tmp_path, config, fashion, capsys):
    model = {**CONFIG["model"], "head": {**CONFIG["model"]["head"], "num_classes": 7}}
    data = {"type": "FashionMNIST", "root": str(fashion)}
    with pytest.raises(SystemExit):
        train(tmp_path, config(model=model, data=data))
    assert "the data have 10 classes, the head of the model 7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "more", "told"),
    [
        ({}, [], "no key 'data'"),
        ({"data": {"type": "FashionMNIST"}}, [], "needs 'type' and 'root'"),
        ({"data": {"type": "FashionMNIST", "root": "no"}}, [], "no"),
        ({"data": {"type": "FasionMNIST", "root": "no"}}, [], "did you mean FashionMNIST"),
        ({"model": {"type": "NoModel"}}, ["--fake-data"], "NoModel"),
        ({"training": {"optimizer": {"type": "Sdg"}}}, ["--fake-data"], "has no 'Sdg'"),
        ({"training": {"optimizer": {"learn": 1}}}, ["--fake-data"], "learn"),
        ({}, ["--fake-data", "-b", "33"], "less than one batch of 33"),
        ({}, ["--fake-data", "--epochs", "0"], "--epochs: must be at least 1"),
        ({}, ["--fake-data", "--resume", "no.pth"], "no.pth does not exist"),
    ],
)
def test_bad_input_is_one_line(tmp_path, config, capsys, changes, more, told):
    with pytest.raises(SystemExit) as stop:
        train(tmp_path, config(**changes), *more)
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert told in said and said.count("\n") == 1
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize("neuron", [[], ["--neuron", "LIF", "--T", "2"]], ids=["ann", "snn"])
def test_masked_autoencoder(tmp_path, neuron):
    argv = ["--fake-data", "--device", "cpu", "--epochs", "1", "--visuals", "2", *neuron]
    pretrain_mae.main([*argv, "--output-dir", str(tmp_path)])
    (folder,) = tmp_path.glob("mae*")
    stored = torch.load(folder / "checkpoint_latest.pth", weights_only=True)
    loss = EventAccumulator(str(folder)).Reload().Scalars("test_loss")[-1].value
    assert stored["max_test_score"] == pytest.approx(-loss)
    with Image.open(folder / "visuals" / "epoch_0.png") as sheet:
        assert sheet.size == (3 * 128 + 2 * 4, 2 * 128 + 4)


def test_pictures_keep_what_is_visible(tmp_path):
    argv = ["--fake-data", "--device", "cpu", "--epochs", "1", "--visuals", "0"]
    args = pretrain_mae.build_parser().parse_args([*argv, "-j", "0", "-b", "8"])
    args.output_dir, args.embed_dims, args.depth = str(tmp_path), 48, 2
    net = pretrain_mae.run(args).net
    x, label = fake_samples((3, 32, 32), 10)[1][:2]
    for image, seen, made in pretrain_mae.pictures(net, x, label):
        kept = (seen == image).all(0)
        assert 0.2 < kept.float().mean() < 0.6
        torch.testing.assert_close(made[:, kept], image[:, kept])


def test_fake_samples_and_pixels():
    train, test = fake_samples((2, 2, 8, 8), 3, (6, 3))
    x, label = train[4]
    assert x.shape == (2, 2, 8, 8) and label == 1 and x.min() >= 0 and x.max() <= 255
    assert len(test) == 3
    import numpy as np

    assert pixels(np.zeros((4, 5), np.uint8)).shape == (1, 4, 5)
    assert pixels(np.zeros((4, 5, 3), np.uint8)).shape == (3, 4, 5)


def test_unknown_argument_of_a_data_set(tmp_path):
    from sj_train.errors import DataError

    with pytest.raises(DataError, match="frame_number"):
        named_sets({"type": "FashionMNIST", "frame_number": 3}, tmp_path)
