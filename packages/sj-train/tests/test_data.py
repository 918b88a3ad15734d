from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from sj_train.data import CIFAR10, ImageFolder
from sj_train.errors import DataError, DataNotFoundError


def size_of(image) -> torch.Tensor:
    return torch.tensor(image.size)


def first_pixel(image) -> torch.Tensor:
    return torch.tensor(image.getpixel((1, 0)))


def test_classes_in_alphabetical_order(image_root):
    data = ImageFolder(image_root / "train", size_of)
    assert data.classes == ["blue", "red"]
    assert [label for _, label in data.samples] == [0] * 6 + [1] * 6
    x, label = data[11]
    assert (x.tolist(), label) == ([12, 10], 1)


def test_missing_folder_shows_the_expected_tree(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"nowhere does not exist.*<class>/<image>"):
        ImageFolder(tmp_path / "nowhere", size_of)
    with pytest.raises(DataNotFoundError, match="has no class folders"):
        ImageFolder(tmp_path, size_of)


def test_empty_class_is_named(image_root):
    (image_root / "train" / "green").mkdir()
    with pytest.raises(DataError, match="green holds no image"):
        ImageFolder(image_root / "train", size_of)


def test_broken_image_is_named(image_root):
    path = image_root / "train" / "blue" / "0.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"cannot read the image .*0\.png"):
        ImageFolder(image_root / "train", size_of)[0]


def write_cifar(root, content) -> None:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(exist_ok=True)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))


def test_cifar10_batches(tmp_path):
    images = np.arange(2 * 3072, dtype=np.uint64).astype(np.uint8).reshape(2, 3072)
    write_cifar(tmp_path, {b"data": images, b"labels": [3, 9]})
    data = CIFAR10(tmp_path, first_pixel, train=True)
    assert len(data) == 10 and len(data.classes) == 10
    x, label = data[1]
    planes = images[1].reshape(3, 32, 32)
    assert (x.tolist(), label) == (planes[:, 0, 1].tolist(), 9)


class Attack:
    def __reduce__(self):
        return print, ("executed",)


def test_cifar10_files_run_no_code(tmp_path, capsys):
    write_cifar(tmp_path, {b"data": Attack(), b"labels": []})
    with pytest.raises(DataError, match="damaged or no CIFAR-10 batch"):
        CIFAR10(tmp_path, first_pixel, train=False)
    assert "executed" not in capsys.readouterr().out


def test_missing_cifar10_names_the_archive(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"test_batch does not exist.*cifar-10-python"):
        CIFAR10(tmp_path, first_pixel, train=False)
